"""Sampling by importance, with the weights that keep the gradient unbiased."""

import torch


class ImportanceSampler(torch.utils.data.Sampler):
    """Draws `num_samples` indices an epoch (default: as many as there are), with replacement, each
    in proportion to its importance.

        sampler = ImportanceSampler(len(dataset), smooth=0.1)
        for index, (image, target) in DataLoader(dataset that gives its index, sampler=sampler):
            losses = criterion(model(image), target)          # one a sample
            (losses * sampler.weights(index)).mean().backward()
            sampler.update(index, losses.detach())

    Drawn with probability p_i, a sample counts 1 / (n p_i): the mean over the draws is then the mean
    over the dataset, whatever the importances are. `smooth` is the share of draws that is uniform:
    it bounds the weights by 1 / smooth, and lets samples of importance 0 be drawn at all.

    The probabilities are those of the epoch that was begun last: what update() tells is
    drawn by from the next one on, so that weights() fits what was drawn. `coverage` is the share of
    distinct samples among all that the last epoch drew. With a `hints` object (stokefs.Hints) each
    epoch begins by telling the mount the importances, so that its cache follows them.
    """

    def __init__(self, importances, num_samples=None, smooth=0.1, generator=None, hints=None):
        """importances: how many samples there are (all worth 1 at first), or one number each."""
        if isinstance(importances, int):
            importances = torch.ones(importances, dtype=torch.float64)
        self._importances = _checked(torch.as_tensor(importances, dtype=torch.float64).clone())
        count = len(self._importances)
        if count == 0:
            raise ValueError("there is no sample to draw")
        if not 0 < smooth <= 1:
            raise ValueError("smooth is above 0 and at most 1")
        self.num_samples = count if num_samples is None else int(num_samples)
        if self.num_samples < 1:
            raise ValueError("num_samples is at least 1")
        self.smooth, self.generator, self.hints = smooth, generator, hints
        self.coverage = 0.0
        self._probabilities = self._make_probabilities()

    def __len__(self):
        return self.num_samples

    def __iter__(self):
        if self.hints is not None:
            self.hints.importance(enumerate(self._importances.tolist()))
        self._probabilities = self._make_probabilities()
        # Not torch.multinomial, which takes at most 2^24 samples.
        edges = torch.cumsum(self._probabilities, 0)
        points = torch.rand(self.num_samples, dtype=torch.float64, generator=self.generator)
        drawn = torch.searchsorted(edges, points * edges[-1], right=True)
        drawn.clamp_(max=len(edges) - 1)
        self.coverage = len(torch.unique(drawn)) / len(edges)
        yield from drawn.tolist()

    def probabilities(self):
        """p_i of the epoch that was begun last."""
        return self._probabilities

    def weights(self, indices=None):
        """1 / (n p_i) of some samples (a tensor or a list of indices), or of all; float32."""
        chosen = self._probabilities if indices is None else self._probabilities[
            torch.as_tensor(indices, dtype=torch.long)]
        return (1.0 / (len(self._probabilities) * chosen)).to(torch.float32)

    def weight(self, index):
        return float(self.weights([index])[0])

    def importances(self):
        return self._importances.clone()

    def update(self, indices, values):
        """New importances of some samples, such as their losses."""
        values = _checked(torch.as_tensor(values, dtype=torch.float64).detach().cpu())
        self._importances[torch.as_tensor(indices, dtype=torch.long).cpu()] = values

    def _make_probabilities(self):
        count = len(self._importances)
        uniform = torch.full((count,), 1.0 / count, dtype=torch.float64)
        total = self._importances.sum()
        if not total > 0:
            return uniform
        return (1 - self.smooth) * (self._importances / total) + self.smooth * uniform


def _checked(values):
    if not bool(torch.isfinite(values).all()) or bool((values < 0).any()):
        raise ValueError("importances are finite and at least 0")
    return values
