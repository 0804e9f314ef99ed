"""sudo python jobs/standalone.py environment.tar.gz RECIPE.yaml --work DIR: a rehearsal of a cluster on one machine.

Starts a standalone Spark master and workers on loopback, the workers as another user who has no home and sees neither
this checkout nor this Python's packages, runs jobs/00_all.py on them, and ends everything. What runs here runs on a
cluster; what fails, fails for the reasons it would fail there. environment.tar.gz comes from jobs/pack.py.
"""

from __future__ import annotations

import argparse
import os
import pwd
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pyspark

from curation.errors import CurationError
from curation.session import java_home

JOB = Path(__file__).with_name("00_all.py")
SPARK_HOME = Path(pyspark.__file__).parent
LOOPBACK = "127.0.0.1"
START_S = 60.0  # a JVM on a busy machine takes its time
END_S = 20.0
_PATH = "/usr/local/bin:/usr/bin:/bin"
_SHARED = 0o2775  # what is made inside belongs to the folder's group, whoever makes it
_UMASK = 0o002  # and that group may write it


def _environment(java: Path) -> dict[str, str]:
    """Of master and workers: nothing of ours."""
    return {
        "PATH": _PATH,
        "HOME": "/nonexistent",
        "LANG": "C.UTF-8",
        "JAVA_HOME": str(java),
        "SPARK_HOME": str(SPARK_HOME),
        "SPARK_LOCAL_IP": LOOPBACK,
        "SPARK_NO_DAEMONIZE": "1",
    }


def _check(user: pwd.struct_passwd, java: Path) -> None:
    """Raises CurationError where the workers' user could not work on this machine."""
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    needed = {
        f"run {python} from {_PATH}": [python, "-c", ""],
        f"run Java in {java}": [f"{java}/bin/java", "-version"],
        f"read Spark in {SPARK_HOME}": ["test", "-r", f"{SPARK_HOME}/jars"],
    }
    for what, command in needed.items():
        done = subprocess.run(["env", *command], env=_environment(java), cwd="/", user=user.pw_uid, group=user.pw_gid,
                              extra_groups=[], capture_output=True, timeout=START_S, check=False)
        if done.returncode:
            raise CurationError(f"the user {user.pw_name} cannot {what}: put it where all users can read it")


@contextmanager
def _started(role: str, arguments: list[str], user: pwd.struct_passwd, folder: Path, java: Path) -> Iterator[Path]:
    """A daemon of Spark in a process group of its own, ended with all its children; yields its log."""
    folder.mkdir()
    os.chown(folder, user.pw_uid, user.pw_gid)
    log = folder / "log"
    command = [f"{SPARK_HOME}/bin/spark-class", f"org.apache.spark.deploy.{role.lower()}.{role}", *arguments]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=_environment(java), cwd=folder, stdin=subprocess.DEVNULL, stdout=output,
                                   stderr=output, start_new_session=True, umask=_UMASK, user=user.pw_uid,
                                   group=user.pw_gid, extra_groups=[])
    try:
        yield log
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(END_S)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # executors that outlived their worker, or the daemon itself
        process.wait(END_S)


def _await(log: Path, pattern: str, count: int = 1) -> str:
    """The last of so many matches in a daemon's log; raises CurationError where they do not come."""
    deadline = time.monotonic() + START_S
    while len(found := re.findall(pattern, log.read_text(errors="replace"))) < count:
        if time.monotonic() > deadline:
            last = " ".join(log.read_text(errors="replace").strip().splitlines()[-1:])
            raise CurationError(f"Spark's daemon did not start within {START_S:.0f} s: {last[:300]}")
        time.sleep(0.1)
    return str(found[-1])


@contextmanager
def cluster(user: pwd.struct_passwd, workers: int, memory: str, folder: Path, java: Path) -> Iterator[str]:
    """A master and workers of one core each; yields the master's URL."""
    master = pwd.getpwuid(os.getuid())
    ports = ["--host", LOOPBACK, "--port", "0", "--webui-port", "0"]
    with ExitStack() as daemons:
        log = daemons.enter_context(_started("Master", ports, master, folder / "master", java))
        url = _await(log, r"Starting Spark master at (spark://\S+:[1-9]\d*)")
        for number in range(workers):
            size = ["--cores", "1", "--memory", memory]
            place = folder / f"worker-{number}"
            daemons.enter_context(
                _started("Worker", [*ports, *size, "--work-dir", str(place), url], user, place, java)
            )
        _await(log, "Registering worker", workers)
        yield url


def submit(url: str, environment: Path, arguments: list[str], memory: str) -> list[str]:
    """The command that a user of any cluster would type."""
    settings = {
        "spark.driver.host": LOOPBACK,
        "spark.driver.bindAddress": LOOPBACK,
        "spark.executor.memory": memory,
        "spark.ui.enabled": "false",
    }
    words = [word for name, value in settings.items() for word in ("--conf", f"{name}={value}")]
    spark_submit = str(SPARK_HOME / "bin" / "spark-submit")
    return [spark_submit, "--master", url, "--archives", f"{environment}#environment", *words, str(JOB), *arguments]


def run(options: argparse.Namespace) -> int:
    """Exit code of spark-submit."""
    for file in (options.environment, options.recipe):
        if not file.is_file():
            raise CurationError(f"there is no file {file}")
    user, java = pwd.getpwnam(options.user), java_home()
    _check(user, java)
    options.work.mkdir(parents=True, exist_ok=True)
    os.chown(options.work, -1, user.pw_gid)
    options.work.chmod(_SHARED)
    logs = options.logs / str(len(list(options.logs.glob("*"))))  # of this run; the same command may continue another
    logs.mkdir(parents=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYSPARK_", "SPARK_"))}
    spark = {
        "JAVA_HOME": str(java),
        "SPARK_LOCAL_IP": LOOPBACK,
        "PYSPARK_PYTHON": "./environment/bin/python",
        "PYSPARK_DRIVER_PYTHON": sys.executable,
    }
    arguments = [str(options.recipe.resolve()), "--work", str(options.work.resolve())]
    arguments += [word for setting in options.settings for word in ("--set", setting)]
    try:
        with cluster(user, options.workers, options.memory, logs, java) as url:
            command = submit(url, options.environment.resolve(), arguments, options.memory)
            sys.stderr.write(f"{shlex.join(command)}\n")
            done = subprocess.run(command, env=kept | spark, umask=_UMASK, timeout=options.limit_s, check=False)
            return done.returncode
    finally:
        for unpacked in logs.glob("worker-*/app-*/*/environment"):
            shutil.rmtree(unpacked, ignore_errors=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("environment", type=Path, help="archive made by jobs/pack.py")
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="folder of the run; is given to the user's group")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="A.B=C")
    parser.add_argument("--logs", type=Path, help="folder for logs of master and workers; default WORK.logs")
    parser.add_argument("--user", default="nobody", help="whom the workers run as")
    parser.add_argument("--workers", type=int, default=2, help="each with one core")
    parser.add_argument("--memory", default="1g", help="of each worker's executor")
    parser.add_argument("--limit-s", type=float, default=3600.0, help="give up after so many seconds")
    options = parser.parse_args()
    options.logs = (options.logs or options.work.with_name(f"{options.work.name}.logs")).resolve()
    return options


def main() -> int:
    """Returns the exit code."""
    options = _options()
    if os.geteuid() != 0:
        sys.stderr.write("error: only root can start workers as another user: use sudo\n")
        return 2
    try:
        return run(options)
    except (CurationError, OSError, KeyError, subprocess.TimeoutExpired) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
