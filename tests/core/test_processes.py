"""What two processes tell each other; one alone needs no other."""

import pickle

import torch
import torch.distributed as dist
from torch import multiprocessing, nn

from rbc_lightning.core.processes import gather, rank_and_size, share_buffers


def test_one_process_is_told_of_itself():
    assert rank_and_size() == (0, 1)
    assert gather({"a": 1}) == [{"a": 1}]
    norm = nn.BatchNorm1d(2)
    share_buffers(norm)
    assert norm.running_mean.tolist() == [0, 0]


def report(rank, directory):
    dist.init_process_group("gloo", init_method=f"file://{directory}/meeting", rank=rank, world_size=2)
    norm = nn.BatchNorm1d(2)
    norm.running_mean.fill_(rank + 1.0)
    with torch.no_grad():
        norm.weight.fill_(rank)
    share_buffers(norm)
    seen = rank_and_size(), gather([rank] * (rank + 1)), norm.running_mean.tolist(), norm.weight.tolist()
    (directory / f"{rank}.pickle").write_bytes(pickle.dumps(seen))
    dist.destroy_process_group()


def test_two_processes_have_the_values_of_both_and_the_buffers_of_the_first(tmp_path):
    # Copies of this process, as new interpreters take seconds.
    multiprocessing.start_processes(report, args=(tmp_path,), nprocs=2, start_method="fork")
    for rank in (0, 1):
        size, values, mean, weight = pickle.loads((tmp_path / f"{rank}.pickle").read_bytes())
        assert size == (rank, 2)
        assert values == [[0], [1, 1]]
        assert mean == [1, 1]
        assert weight == [rank, rank]
