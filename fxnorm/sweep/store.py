"""The run folder: results row by row in SQLite, so that nothing is lost and nothing is computed twice.

::

    RUN/
      results.sqlite     everything; the only file that a run reads again
      results.json       what `--baseline` and people read: made of the database, written whole, the same bytes for the same results
      results.csv        the same, one line a configuration
      lock               held (flock) by the process that writes; it stays when the process is gone, and means nothing then

**Database**, version 1 (``PRAGMA user_version``; ``PRAGMA application_id`` is 0x66786e72, "fxnr"). JSON in it is ASCII with sorted keys.

``run (key TEXT PRIMARY KEY, value TEXT NOT NULL)``: one row a key, values are JSON.

==============  ==================================================================================================================
key             value
==============  ==================================================================================================================
kind            "sweep"; another command that fills a folder has a word of its own, "search" for instance
identity        what decides the results: {"model", "data", "calibration" (SHA-256), "batch", "dims", "request" (what was asked for, as
                the command has it: {"axes": {option: [values]}, "width": [...], "integer_bits": [...]}), "fxnorm" (version)}.
                A command with another identity is refused
model           {"path", "sha256"}
data            {"path" (null for random samples), "description", "sha256", "samples", "labels" (true or false)}
calibration     {"path", "description", "sha256", "samples"}; null where it is the head of the data
axes            {option: [values]} of what has more than one value, in the order in which they vary, the last one fastest.
                Options have the names of `fxnorm.planning.options.Options`, and "width", "integer_bits"; rules for layers
                "layer PATTERN:KEY"
command         the words of the command line that made the folder, [] from Python
directory       the folder that relative paths are meant from
created         UTC, ISO 8601
==============  ==================================================================================================================

``configuration``: one row for each configuration, written before the first is run.

==============  ==================================================================================================================
column          meaning
==============  ==================================================================================================================
id              SHA-256 over the options: what it is, in whichever run. PRIMARY KEY
number          place in the grid, from 0; UNIQUE
name            short, for people and tables: what varies, "q5.3 affine"
options         JSON, `Options.record()`: everything that makes the plan
varied          JSON, {axis: value} for each of the run's axes; null for an option that is not given
format, width, integer_bits, fraction_bits, normalize
                of data; for a search's mixed plans, of what layers have that no rule speaks of
command         words of a shell's command line that reproduces the row: `fxnorm simulate …`
==============  ==================================================================================================================

``attempt (configuration TEXT, started TEXT, process TEXT)``: one row each time that a configuration was begun. One that has no
result was in flight when its process ended.

``result``: one row for each configuration that is done, in one transaction with nothing else.

==============  ==================================================================================================================
column          meaning
==============  ==================================================================================================================
configuration   id. PRIMARY KEY
status          "done", or "refused": it cannot be planned or run
reason          of a refusal, in words; else null
plan_digest     `Plan.digest`
outputs_digest  SHA-256 over the samples' outputs, see `fxnorm.study.OutputDigest`
samples         how many were run
accuracy_fp32, accuracy
                share of right labels; null without labels
sqnr_db         of the worst output; null where it is infinite (then max_abs_error is 0), or no number
max_abs_error   of the worst output
agreement       smallest share of outputs' rows with FP32's arg-max; null where no output has one
overflow_count  values, additions of accumulators and stages that overflowed, all layers together
overflow_fraction
                largest share of one layer's values (or additions) that overflowed
record          JSON, what `fxnorm simulate --json` writes: outputs, layers with histograms, accumulators, hint; null if refused
cost            JSON, what the plan costs in hardware, {name: number}; null if refused
seconds         JSON, by phase: {"plan", "reference", "simulate", "total"}; shared work is counted where it was done
finished        UTC, ISO 8601
versions        JSON, {"fxnorm", "python", "numpy", "onnxruntime"}
==============  ==================================================================================================================

A refusal's columns are null but for configuration, status, reason, seconds, finished and versions.

**What survives.** Every row is one transaction with a rollback journal and ``synchronous=FULL``: after kill -9, a crash of the
machine or a full disk the database holds exactly the rows that were finished. A write-ahead log would be a little faster, but does not
work on network file systems, leaves files beside the database that must be copied with it, and cannot be read in a read-only folder;
rows are few. Readers may open the database while a run writes.
"""

from __future__ import annotations

from typing import Final

APPLICATION: Final = 0x66786E72
VERSION: Final = 1
SCHEMA: Final = """
CREATE TABLE run (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE configuration (
  id TEXT PRIMARY KEY, number INTEGER NOT NULL UNIQUE, name TEXT NOT NULL, options TEXT NOT NULL, varied TEXT NOT NULL,
  format TEXT NOT NULL, width INTEGER NOT NULL, integer_bits INTEGER NOT NULL, fraction_bits INTEGER NOT NULL,
  normalize TEXT NOT NULL, command TEXT NOT NULL
);
CREATE TABLE attempt (
  configuration TEXT NOT NULL REFERENCES configuration (id), started TEXT NOT NULL, process TEXT NOT NULL
);
CREATE TABLE result (
  configuration TEXT PRIMARY KEY REFERENCES configuration (id),
  status TEXT NOT NULL CHECK (status IN ('done', 'refused')), reason TEXT,
  plan_digest TEXT, outputs_digest TEXT, samples INTEGER,
  accuracy_fp32 REAL, accuracy REAL, sqnr_db REAL, max_abs_error REAL, agreement REAL,
  overflow_count INTEGER, overflow_fraction REAL,
  record TEXT, cost TEXT, seconds TEXT NOT NULL, finished TEXT NOT NULL, versions TEXT NOT NULL
);
"""
