"""Shows at the end of a run by hand how many cases there were."""

from tests.fuzz.fuzzing import COUNTS, MINUTES


def pytest_terminal_summary(terminalreporter):
    if MINUTES:
        terminalreporter.section("fuzzed")
        for kind, count in sorted(COUNTS.items()):
            terminalreporter.write_line(f"{count:8,} {kind}")
