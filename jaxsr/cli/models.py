"""`jaxsr models`: the networks and their sizes, and the published weights."""

import argparse

from jaxsr.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what `run` takes."""
    parser.add_argument("name", nargs="?", metavar="NETWORK", help="of this one alone")
    parser.add_argument("--scale", type=int, help="default: 2; of weights, all")
    parser.add_argument(
        "--weights",
        action="store_true",
        help="list published weights and their PSNR instead of all networks",
    )


def run(options: argparse.Namespace) -> None:
    """Prints what the options ask for."""
    if options.weights:
        _list_weights(options.name, options.scale)
        return
    from jaxsr.models.catalogue import explain_network, list_networks

    scale = 2 if options.scale is None else options.scale
    name = options.name
    for line in explain_network(name, scale) if name else list_networks(scale):
        print(line, flush=True)


def _list_weights(name: str | None, scale: int | None) -> None:
    from jaxsr.weights import zoo
    from jaxsr.weights.cards import list_entries

    published = zoo.read_manifest()
    entries = [
        entry
        for entry in published
        if name in (None, zoo.name_of(entry)) and scale in (None, entry["scale"])
    ]
    if not entries:
        wanted = f"{name or 'a network'}{'' if scale is None else f' x{scale}'}"
        known = [f"{zoo.name_of(entry)} x{entry['scale']}" for entry in published]
        raise InputError(f"no weights of {wanted}: there are {', '.join(known)}")
    print("PSNR in dB of luma, protocol rgb; model cards: docs/models/")
    print(list_entries(entries))
