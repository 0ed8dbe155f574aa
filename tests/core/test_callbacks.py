import pickle

import torch
from torch.optim.swa_utils import AveragedModel

from rbc_lightning.core.callbacks import running_mean


def test_running_mean_follows_by_its_share_and_can_be_sent_to_other_processes():
    callback = pickle.loads(pickle.dumps(running_mean(0.75)))
    model = torch.nn.Linear(1, 1, bias=False)
    average = AveragedModel(model, use_buffers=True, **callback._kwargs)
    values = []
    for weight in (8.0, 4.0, 0.0):
        torch.nn.init.constant_(model.weight, weight)
        average.update_parameters(model)
        values.append(average.module.weight.item())
    # The first one is the start; then 0.75 * 8 + 0.25 * 4, and 0.75 * 7.
    assert values == [8.0, 7.0, 5.25]
