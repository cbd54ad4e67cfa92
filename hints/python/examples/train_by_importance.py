#!/usr/bin/python3
"""Trains on an ImageFolder below a stokefs mount, drawing the samples with large losses more often.

    train_by_importance.py MNT [ROOT] [--epochs N]

Needs torch and torchvision. Prints a line an epoch: the mean loss and the coverage.
"""

import argparse

import stokefs
import torch
from torch import nn
from torchvision import datasets, transforms


class WithIndex(torch.utils.data.Dataset):
    def __init__(self, dataset):
        self.dataset = dataset

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, index):
        image, target = self.dataset[index]
        return index, image, target


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("mnt")
    parser.add_argument("root", nargs="?", default="", help="the ImageFolder, below MNT")
    parser.add_argument("--epochs", type=int, default=3)
    arguments = parser.parse_args()

    shape = transforms.Compose([transforms.Grayscale(), transforms.Resize((28, 28)),
                                transforms.ToTensor()])
    folder = datasets.ImageFolder(f"{arguments.mnt}/{arguments.root}", transform=shape)
    hints = stokefs.Hints(arguments.mnt)
    hints.job("train", arguments.root)
    sampler = stokefs.ImportanceSampler(len(folder), smooth=0.2, hints=hints)
    loader = torch.utils.data.DataLoader(WithIndex(folder), batch_size=64, sampler=sampler,
                                         num_workers=2)
    model = nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 64), nn.ReLU(),
                          nn.Linear(64, len(folder.classes)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    criterion = nn.CrossEntropyLoss(reduction="none")
    for epoch in range(arguments.epochs):
        hints.epoch("train", epoch)
        total = 0.0
        for index, image, target in loader:
            losses = criterion(model(image), target)
            weighted = (losses * sampler.weights(index)).mean()
            optimizer.zero_grad()
            weighted.backward()
            optimizer.step()
            sampler.update(index, losses.detach())
            total += weighted.item()
        print(f"epoch {epoch}: loss {total / len(loader):.3f}, coverage {sampler.coverage:.2f}")


if __name__ == "__main__":
    main()
