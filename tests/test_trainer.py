"""Long training: resumed bit for bit after a kill, in several processes, and its errors."""

import csv
import functools
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from mlmusic.devices import checked_device, has_bfloat16, out_of_memory
from mlmusic.trainer import Trainer

ROOT = Path(__file__).resolve().parents[1]


class Line(nn.Module):
    """``y = 2 x + 1``, with dropout, so that its random numbers matter."""

    def __init__(self, dropout=0.1):
        super().__init__()
        self.config = {"dropout": dropout}
        self.one, self.two = nn.Linear(1, 8), nn.Linear(8, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        return self.two(self.dropout(torch.tanh(self.one(x))))


def batch(step, rank=0, world=1, dtype=torch.float32):
    x = torch.randn(12, 1, generator=torch.Generator().manual_seed(step), dtype=dtype)
    part = x.chunk(world)[rank]
    return part, 2 * part + 1


def loss(model, batch):
    """Parts of a batch have unequal counts: negative numbers don't count."""
    x, y = batch
    counted = x > -0.5
    return ((model(x) - y).square() * counted).sum(), counted.sum()


def trainer(dropout=0.1, dtype=torch.float32, **options):
    torch.manual_seed(0)
    options = {"steps": 30, "every": 7, "progress": False, "lr": 0.05, "warmup": 3} | options
    drawn = functools.partial(batch, dtype=dtype)
    return Trainer(Line(dropout).to(dtype), drawn, loss, **options)


def exact(**options):
    """In float64, where sums in another order differ by next to nothing."""
    return trainer(0.0, torch.float64, steps=20, every=5, precision="float32", **options)


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_it_learns_and_logs(tmp_path):
    run = trainer(0.0, steps=300, log=tmp_path / "log.csv", valid=lambda m: m.one.bias[0].item())
    model = run.run()
    assert not model.training
    with torch.no_grad():
        assert loss(model, batch(1000))[0] / loss(model, batch(1000))[1] < 0.1
    log = rows(tmp_path / "log.csv")
    assert [int(row["step"]) for row in log] == [*range(7, 300, 7), 300]
    assert float(log[-1]["loss"]) < float(log[0]["loss"]) / 10
    assert float(log[-1]["valid"]) == pytest.approx(model.one.bias[0].item(), abs=1e-5)
    assert model.cpu_seconds > 0


def test_the_learning_rate_rises_stays_and_falls():
    run = trainer(lr=1.0, steps=100, warmup=10, decay=0.5)
    rates = []
    for run.step in range(100):
        rates.append(run.rate())
    assert rates[:10] == pytest.approx([0.1 * i for i in range(1, 11)])
    assert rates[10:51] == [1.0] * 41
    assert rates[75] == pytest.approx(0.5)
    assert rates[99] == pytest.approx(0.02)


def test_weights_are_averaged():
    run = trainer(0.0, steps=2, average=0.5)
    seen = []
    step = run.optimizer.step
    run.optimizer.step = lambda: (step(), seen.append(run.model.one.weight.detach().clone()))
    first = run.model.one.weight.detach().clone()
    model = run.run()
    mean = 0.1 * first + 0.9 * seen[0]
    mean = (2 / 11) * mean + (9 / 11) * seen[1]
    torch.testing.assert_close(model.one.weight.detach(), mean)


def stop_at(step):
    """A batch function that ends the process there, as SIGKILL does."""

    def stopping(now, rank=0, world=1):
        if now == step:
            raise KeyboardInterrupt
        return batch(now, rank, world)

    return stopping


@pytest.mark.parametrize("step", [3, 8, 15, 29])
def test_going_on_equals_going_through(tmp_path, step):
    whole = trainer(log=tmp_path / "whole.csv").run()
    files = {"checkpoint": tmp_path / "it.checkpoint", "log": tmp_path / "log.csv"}
    broken = trainer(**files)
    broken.batch = stop_at(step)
    with pytest.raises(KeyboardInterrupt):
        broken.run()
    assert files["checkpoint"].exists() == (step >= 7)
    again = trainer(**files)
    model = again.run()
    assert again.step == 30
    for name, value in whole.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name
    fixed = ["step", "lr", "loss", "gradient"]
    assert [[row[k] for k in fixed] for row in rows(files["log"])] == [
        [row[k] for k in fixed] for row in rows(tmp_path / "whole.csv")
    ]


SCRIPT = """
import sys
from pathlib import Path
import torch
from tests.test_trainer import exact, trainer

out = Path(sys.argv[1])
files = {"checkpoint": out / "it.checkpoint", "log": out / "log.csv"}
run = exact(**files) if sys.argv[2] == "exact" else trainer(steps=400, every=5, **files)
model = run.run()
if run.rank == 0:
    torch.save(model.state_dict(), out / "model.pt")
"""


def started(folder, *arguments, launcher=()):
    (folder / "script.py").write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        environment.pop(name, None)
    command = [sys.executable, *launcher, str(folder / "script.py"), str(folder), *arguments]
    return subprocess.Popen(
        command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_killed_process_goes_on_bit_for_bit(tmp_path):
    first = started(tmp_path, "400 steps")
    until = time.monotonic() + 60
    while not (tmp_path / "log.csv").exists() or len(rows(tmp_path / "log.csv")) < 6:
        assert first.poll() is None and time.monotonic() < until, first.communicate()
        time.sleep(0.02)
    first.kill()
    first.wait()
    assert not (tmp_path / "model.pt").exists()
    again = started(tmp_path, "400 steps")
    assert again.wait() == 0, again.communicate()
    whole = trainer(steps=400, every=5).run().state_dict()
    found = torch.load(tmp_path / "model.pt", weights_only=True)
    assert all(torch.equal(found[name], value) for name, value in whole.items())
    steps = [int(row["step"]) for row in rows(tmp_path / "log.csv")]
    assert steps == list(range(5, 401, 5))


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without distributed")
def test_two_processes_train_as_one_with_the_joint_batch(tmp_path):
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    both = started(tmp_path, "exact", launcher=launcher)
    told, _ = both.communicate(timeout=120)
    assert both.returncode == 0, told.decode()
    one = exact(log=tmp_path / "one.csv").run().state_dict()
    found = torch.load(tmp_path / "model.pt", weights_only=True)
    for name, value in one.items():
        torch.testing.assert_close(found[name], value, atol=1e-9, rtol=0)
    for mine, theirs in zip(rows(tmp_path / "one.csv"), rows(tmp_path / "log.csv"), strict=True):
        assert float(mine["loss"]) == pytest.approx(float(theirs["loss"]), abs=2e-6)


def test_minutes_end_it():
    run = trainer(steps=None, minutes=0.002)
    run.run()
    assert run.step >= 1
    assert 0.12 <= run.seconds < 5


# Faults ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number(tmp_path, value):
    run = trainer(checkpoint=tmp_path / "it.checkpoint")
    run.loss = lambda model, b: (
        loss(model, b)[0] * (value if run.step == 10 else 1),
        loss(model, b)[1],
    )
    with pytest.raises(FloatingPointError, match=rf"loss became {value} in step 10: lower the"):
        run.run()
    again = trainer(checkpoint=tmp_path / "it.checkpoint")
    again.run()  # the checkpoint before is whole
    assert again.step == 30


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to"),
        torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate"),
    ],
)
def test_out_of_memory(error, tmp_path):
    run = trainer(checkpoint=tmp_path / "it.checkpoint")

    def full(model, batch):
        if run.step == 9:
            raise error
        return loss(model, batch)

    run.loss = full
    with pytest.raises(MemoryError, match="out of memory in step 9: take smaller batches"):
        run.run()
    again = trainer(checkpoint=tmp_path / "it.checkpoint")
    again.resume()
    assert again.step == 7


def test_other_errors_stay_what_they_are():
    run = trainer()
    run.loss = lambda model, batch: model(torch.zeros(2, 3))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        run.run()
    assert not out_of_memory(RuntimeError("shapes"))


def test_a_damaged_checkpoint(tmp_path):
    path = tmp_path / "it.checkpoint"
    trainer(checkpoint=path, steps=7).run()
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match=r"it\.checkpoint is damaged \(.*\): delete it to start"):
        trainer(checkpoint=path, steps=7).run()


def test_a_write_that_breaks_off_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    path = tmp_path / "it.checkpoint"
    run = trainer(checkpoint=path)
    save, saved = torch.save, []

    def breaking(state, file):
        if saved:
            file.write(b"half")
            raise OSError("no space left")
        saved.append(save(state, file))

    monkeypatch.setattr(torch, "save", breaking)
    with pytest.raises(OSError, match="no space left"):
        run.run()
    again = trainer(checkpoint=path)
    again.resume()
    assert again.step == 7


@pytest.mark.parametrize("options", [{"lr": 0.1}, {"seed": 3}, {"dropout": 0.2}, {"steps": 60}])
def test_a_checkpoint_of_another_training(tmp_path, options):
    path = tmp_path / "it.checkpoint"
    trainer(checkpoint=path).run()
    with pytest.raises(ValueError, match="is of a training with"):
        trainer(checkpoint=path, **options).run()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": None}, "either how many steps or how many minutes"),
        ({"minutes": 1}, "either how many steps or how many minutes"),
        ({"steps": 0}, "steps must be positive, not 0"),
        ({"steps": None, "minutes": -1}, "minutes must be positive"),
        ({"lr": 0}, "lr must be positive"),
        ({"every": 0}, "every must be positive"),
        ({"average": 1}, "average must be"),
        ({"decay": 2}, "decay from 0 to 1"),
        ({"precision": "float16"}, "precision must be float32, bfloat16 or auto"),
        ({"device": "abacus"}, "there is no device 'abacus' here"),
    ],
)
def test_impossible_settings(options, message):
    with pytest.raises(ValueError, match=message):
        trainer(**options)


def test_devices():
    assert checked_device("cpu") == torch.device("cpu")
    assert checked_device("auto").type in ("cpu", "cuda")
    assert has_bfloat16(torch.device("cpu")) in (True, False)
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="there is no device 'cuda' here"):
            checked_device("cuda")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_precision(precision):
    kinds = set()
    run = trainer(precision=precision, steps=2)

    def watched(model, batch):
        kinds.add(model(batch[0]).dtype)
        return loss(model, batch)

    run.loss = watched
    assert next(run.run().parameters()).dtype == torch.float32
    assert kinds == {getattr(torch, precision)}
