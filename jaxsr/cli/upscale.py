"""`jaxsr upscale`: files and folders of pictures, enlarged."""

import argparse
import contextlib
import os
import sys
from pathlib import Path

from jaxsr.cli.upscale_flags import check_megapixels
from jaxsr.errors import InputError, printable
from jaxsr.process_flags import joined


def run(options: argparse.Namespace) -> int:
    """Enlarges what the options name; returns the exit code."""
    from jaxsr.compilation_cache import keep_compiled_programs
    from jaxsr.cpu import keep_freed_memory, use_every_core
    from jaxsr.streams import STANDARD

    inputs = options.inputs + options.input
    if not inputs:
        raise InputError("expected a picture, a folder or - for standard input")
    if options.quality is not None and not 1 <= options.quality <= 100:
        raise InputError(f"--quality: expected 1 to 100, got {options.quality}")
    check_megapixels(options.max_megapixels)
    suffix = _suffix(options.format)
    streams = STANDARD in (*inputs, options.out)
    if streams:
        _check_streams(inputs, suffix, options)
        to_file = options.out != STANDARD
        if to_file and options.skip_existing and os.path.lexists(options.out):
            print(printable(f"passed over: {options.out} exists"), file=sys.stderr)
            return 0
    keep_freed_memory()
    with joined(options, goes_on=" with --skip-existing"):
        use_every_core()  # before JAX starts, and so before processes talk
        plan = None if streams else _plan(inputs, suffix, options)
        if options.cache:
            keep_compiled_programs()
        if options.require_accelerator:
            _require_accelerator()
        upscaler = _upscaler(options)
        print(upscaler.describe(), file=sys.stderr)
        if plan is None:
            return _upscale_stream(upscaler, inputs[0], suffix, options)
        for line in plan.passed_over:
            print(printable(f"passed over: {line}"), file=sys.stderr)
        for line in plan.unreadable:
            print(printable(f"skipped: {line}"), file=sys.stderr)
        failed = len(plan.unreadable)
        is_one_file = len(inputs) == 1 and not os.path.isdir(inputs[0])
        action = _preview if options.dry_run else _upscale
        failed += action(upscaler, plan.pairs, options, is_one_file)
    return 1 if failed else 0


def _plan(inputs: list[str], suffix: str | None, options: argparse.Namespace):
    """Returns what is to be done, of several processes this one's share."""
    from jaxsr.folders import Plan, plan_files

    def plan() -> Plan:
        return plan_files(
            inputs,
            options.out,
            recursive=options.recursive,
            suffix=suffix,
            overwrite=options.overwrite,
            skip_existing=options.skip_existing,
        )

    if not options.distributed:
        return plan()
    from jaxsr import processes

    def told() -> dict[str, list]:
        made = plan()
        pairs = [[str(source), str(target)] for source, target in made.pairs]
        return vars(made) | {"pairs": pairs}

    # One looks, before any writes: all see the same folders.
    whole = processes.ask_first(told)
    pairs = [(Path(a), Path(b)) for a, b in processes.share(whole["pairs"])]
    return Plan(**whole | {"pairs": pairs}) if processes.is_first() else Plan(pairs)


def _upscale(upscaler, pairs, options: argparse.Namespace, is_one_file: bool) -> int:
    """Returns how many pictures failed; of one file alone that is an error."""
    from jaxsr.cli.progress import Progress
    from jaxsr.cpu import count_idle_threads
    from jaxsr.interrupts import sigterm_tidies_up
    from jaxsr.upscale_files import upscale_files

    # One more than are enlarged at once: compressing a result keeps one core busy.
    threads = count_idle_threads()
    at_once = 1 if is_one_file or threads == 1 else threads + 1
    failed, progress = 0, Progress(len(pairs))
    results = upscale_files(
        upscaler,
        pairs,
        strip=options.strip,
        quality=options.quality,
        max_megapixels=options.max_megapixels,
        at_once=at_once,
        progress=progress.tile,
    )
    # Files that threads write are whole before SIGTERM ends the program.
    at_sigterm = sigterm_tidies_up() if at_once > 1 else contextlib.nullcontext()
    try:
        with at_sigterm, contextlib.closing(results):
            for (_, target), (_, error) in zip(pairs, results, strict=True):
                if error is None:
                    progress.written(str(target))
                elif is_one_file:
                    raise error
                else:
                    failed += 1
                    progress.skipped(str(error))
    finally:
        progress.close()
    return failed


def _preview(upscaler, pairs, options: argparse.Namespace, is_one_file: bool) -> int:
    from jaxsr.upscale_files import preview_files

    failed = 0
    found = preview_files(upscaler, pairs, max_megapixels=options.max_megapixels)
    for line, error in found:
        if error is None:
            print(printable(line))
        elif is_one_file:
            raise error
        else:
            failed += 1
            print(printable(f"would be skipped: {error}"), file=sys.stderr)
    return failed


def _upscale_stream(
    upscaler, source: str, suffix: str | None, options: argparse.Namespace
) -> int:
    from jaxsr.cli.progress import Progress
    from jaxsr.streams import upscale_stream

    progress = Progress(1)
    try:
        upscale_stream(
            upscaler,
            source,
            options.out,
            suffix=suffix,
            strip=options.strip,
            quality=options.quality,
            max_megapixels=options.max_megapixels,
            progress=progress.tile,
        )
    finally:
        progress.close()
    return 0


def _check_streams(
    inputs: list[str], suffix: str | None, options: argparse.Namespace
) -> None:
    """Refuses what makes no sense with standard input or output."""
    from jaxsr.folders import check_suffix

    if options.distributed:
        raise InputError("-: expected files and folders for --distributed")
    if len(inputs) > 1 or os.path.isdir(inputs[0]):
        raise InputError("-: expected one picture, through standard input or output")
    if options.dry_run:
        raise InputError("-: expected files for --dry-run")
    if options.out == "-":
        return
    if options.out.endswith("/") or os.path.isdir(options.out):
        raise InputError(f"{options.out}: expected a file name for standard input's")
    check_suffix(Path(options.out), suffix)
    if os.path.lexists(options.out) and not (
        options.overwrite or options.skip_existing
    ):
        raise InputError(
            f"{options.out} exists already: pass --overwrite to replace it"
        )


def _require_accelerator() -> None:
    import jax

    if jax.default_backend() == "cpu":
        raise InputError(
            "--require-accelerator: JAX finds none here, only the CPU (a GPU needs "
            "pip install 'jax[cuda13]')"
        )


def _suffix(name: str | None) -> str | None:
    """Returns what --format names as a suffix."""
    from jaxsr.imaging.files import SUFFIXES

    if name is None:
        return None
    suffix = f".{name.lower().removeprefix('.')}"
    if suffix not in SUFFIXES:
        known = ", ".join(s.removeprefix(".") for s in SUFFIXES)
        raise InputError(f"--format: expected one of {known}, got {name}")
    return suffix


def _upscaler(options: argparse.Namespace):
    from jaxsr.loading import load, load_scaled

    given = options.weights or (options.workdir and f"{options.workdir}/")
    settings = {
        "tile": options.tile,
        "overlap": options.overlap,
        "self_ensemble": options.self_ensemble,
        "network": options.model if given else None,
    }
    spec = given or options.model
    if options.made_for == "photo":
        if spec:
            raise InputError(f"--for photo: expected no network beside it, got {spec}")
        settings["degradation"] = "photo"
    if options.scale is not None:
        return load_scaled(options.scale, spec, **settings)
    if not spec:
        raise InputError("pass --scale, e.g. --scale 2, or --model, e.g. rcbam_lite_x2")
    return load(spec, **settings)
