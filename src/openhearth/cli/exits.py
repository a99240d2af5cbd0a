"""How a command ends: the exit codes, and what an error looks like. Tracebacks are for `OPENHEARTH_DEBUG` only.

  0  done
  1  it did not work; the message says why (a request refused, a check failed)
  2  the command was not understood
  3  no server answers
 64 and up, as in sysexits(3), for this installation: 65 the database or a backup is damaged or of a newer version, 66 no such file
 or no database yet, 68 no such address,
 69 the port is taken, 70 an error of our own, 73 the data folder can't be written, 74 reading or writing failed,
 75 another server has the data folder, 78 the settings are wrong
130  stopped with Ctrl-C
141  the reader of the output went away
"""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

import click

from openhearth.errors import OpenHearthError, SetupError

FAILED = 1
NO_SERVER = 3
BUG = 70
INPUT_OUTPUT = 74
INTERRUPTED = 130
READER_LEFT = 141


@contextmanager
def explained() -> Iterator[None]:
    """Whatever a command raises becomes a message and an exit code here."""
    try:
        yield
    except (click.exceptions.Exit, click.Abort, click.ClickException):
        raise
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    except Exception as error:
        _end(error)


def _end(error: Exception) -> NoReturn:
    from openhearth import settings
    from openhearth.cli.terminal import complain

    if isinstance(error, BrokenPipeError):
        _forget_output()
        raise SystemExit(READER_LEFT) from None
    if settings.debugging():
        import traceback

        traceback.print_exception(error)
    if isinstance(error, SetupError):
        complain(error.message)
        raise SystemExit(error.exit_status) from None
    if isinstance(error, OpenHearthError):
        complain(error.message)
        raise SystemExit(FAILED) from None
    if isinstance(error, OSError) and error.filename:
        complain(f"{error.filename}: {error.strerror}.")
        raise SystemExit(INPUT_OUTPUT) from None
    complain(f"{type(error).__name__}: {error}")
    complain("This is a fault of the program. Please report it, with what it says under OPENHEARTH_DEBUG=1 and `openhearth doctor`.")
    raise SystemExit(BUG) from None


def stop_on_signals() -> None:
    """Let a command that has processes of its own end them on SIGTERM and when its terminal closes."""

    def stop(number: int, _frame: object) -> NoReturn:
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)


@contextmanager
def quiet_ending() -> Iterator[None]:
    """Outside everything: Ctrl-C before a command began, and output that nobody reads any more when the last of it is written."""
    _mend_streams()
    try:
        yield
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    finally:
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            _forget_output()
            raise SystemExit(READER_LEFT) from None
        except OSError as error:
            _forget_output()
            print(f"openhearth: the output could not be written: {error.strerror}.", file=sys.stderr)
            raise SystemExit(INPUT_OUTPUT) from None


def _mend_streams() -> None:
    # A parent may have closed them (`>&-`), and a terminal may not know every character of an answer.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 - for as long as the process lives
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _forget_output() -> None:
    # The interpreter flushes once more on its way out, and would complain about the pipe.
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
