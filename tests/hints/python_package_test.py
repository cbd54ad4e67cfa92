#!/usr/bin/python3
"""The Python package hints/python: what it writes, and that its sampler draws and weighs right.

Run by the interpreter that has torch (Debian's); without torch the sampler's tests are skipped.
"""

import os
import subprocess
import sys
import tempfile
import unittest
import zipfile

PACKAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "hints", "python")
sys.path.insert(0, PACKAGE)
import stokefs  # noqa: E402

try:
    import torch
except ImportError:
    torch = None


class Writing(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        os.mkdir(os.path.join(folder.name, ".stokefs"))
        self.path = os.path.join(folder.name, ".stokefs", "hints")
        with open(self.path, "wb"):
            pass
        self.hints = stokefs.Hints(folder.name)

    def written(self):
        with open(self.path, "rb") as file:
            return file.read()

    def test_paths_are_escaped_and_indices_are_not(self):
        self.hints.importance({"a/b.png": 1, "a b": 0.5, "#1": 2, b"\xff%": 3, 17: 1e-9})
        self.assertEqual(b"importance a/b.png 1.0\nimportance a%20b 0.5\nimportance %231 2.0\n"
                         b"importance \xff%25 3.0\nimportance #17 1e-09\n", self.written())

    def test_only_a_leading_number_sign_is_odd(self):
        self.assertEqual("a#1", stokefs.escape("a#1"))
        self.assertEqual("%23%0A%7Fü", stokefs.escape("#\n\x7fü"))

    def test_the_other_verbs(self):
        for call, line in ((lambda: self.hints.pin("a b"), b"pin a%20b\n"),
                           (lambda: self.hints.unpin(""), b"unpin .\n"),
                           (lambda: self.hints.epoch("j", 3), b"epoch j 3\n"),
                           (lambda: self.hints.job("j", "t"), b"job j root=t\n"),
                           (lambda: self.hints.importance({0: 1}), b"job j\nimportance #0 1.0\n")):
            with open(self.path, "wb"):
                pass
            call()
            self.assertEqual(line, self.written())

    def test_residency_gives_paths_as_programs_use_them(self):
        control = os.path.dirname(self.path)
        with open(os.path.join(control, "residency"), "wb") as file:
            file.write(b"%231\na%20b%25\n\xff.png\n")
        self.assertEqual(["#1", "a b%", os.fsdecode(b"\xff.png")],
                         stokefs.residency(os.path.dirname(control)))

    def test_the_package_needs_no_torch(self):
        self.assertEqual(0, os.spawnv(os.P_WAIT, sys.executable, [
            sys.executable, "-B", "-c", f"import sys; sys.path.insert(0, {PACKAGE!r}); import stokefs; "
            "sys.exit('torch' in sys.modules)"]))


class Installing(unittest.TestCase):
    def test_the_wheel_holds_the_package(self):
        with tempfile.TemporaryDirectory() as folder:
            wheel = subprocess.run(
                [sys.executable, "-B", "-c",
                 "import sys, build_wheel; print(build_wheel.build_wheel(sys.argv[1]))", folder],
                cwd=PACKAGE, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
            # As installed: a wheel can be imported from.
            path = subprocess.run(
                [sys.executable, "-B", "-c", "import stokefs; print(stokefs.__file__); "
                 "print(stokefs.Hints('/mnt').path)"], check=True, stdout=subprocess.PIPE, text=True,
                env=dict(os.environ, PYTHONPATH=os.path.join(folder, wheel)), cwd="/").stdout
            self.assertIn(f"{wheel}/stokefs/__init__.py\n/mnt/.stokefs/hints", path)
            with zipfile.ZipFile(os.path.join(folder, wheel)) as archive:
                self.assertEqual({"_hints.py", "_residency.py", "_sampler.py", "__init__.py", "METADATA", "WHEEL",
                                  "RECORD"}, {os.path.basename(n) for n in archive.namelist()})


@unittest.skipIf(torch is None, "no torch for this interpreter")
class Sampling(unittest.TestCase):
    def sampler(self, importances, **more):
        return stokefs.ImportanceSampler(importances, generator=torch.Generator().manual_seed(3),
                                         **more)

    def test_samples_are_drawn_in_proportion(self):
        sampler = self.sampler([1.0, 3.0, 0.0, 6.0], num_samples=100_000, smooth=0.2)
        counts = torch.bincount(torch.tensor(list(sampler)), minlength=4) / 100_000
        expected = torch.tensor([0.13, 0.29, 0.05, 0.53])
        self.assertLess((counts - expected).abs().max().item(), 0.01)

    def test_the_weighted_mean_is_unbiased(self):
        values = torch.tensor([5.0, -2.0, 11.0, 0.5, 3.0])
        sampler = self.sampler([1.0, 10.0, 0.0, 4.0, 2.0], num_samples=200_000, smooth=0.1)
        drawn = torch.tensor(list(sampler))
        weighted = (values[drawn] * sampler.weights(drawn)).mean()
        self.assertAlmostEqual(values.mean().item(), weighted.item(), delta=0.1)
        # Exactly: the expectation over the probabilities is the mean.
        exact = (sampler.probabilities() * sampler.weights().double() * values).sum()
        self.assertAlmostEqual(values.mean().item(), exact.item(), places=5)
        self.assertAlmostEqual(sampler.weights([3])[0].item(), sampler.weight(3))

    def test_coverage_is_the_share_of_distinct_samples(self):
        sampler = self.sampler(1000)
        self.assertEqual(0.0, sampler.coverage)
        drawn = list(sampler)
        self.assertEqual(1000, len(drawn))
        self.assertEqual(len(set(drawn)) / 1000, sampler.coverage)
        self.assertAlmostEqual(0.632, sampler.coverage, delta=0.05)

    def test_updates_count_from_the_next_epoch_on(self):
        sampler = self.sampler(4, smooth=0.5)
        list(sampler)
        before = sampler.weights()
        sampler.update(torch.tensor([1]), torch.tensor([9.0]))
        self.assertTrue(torch.equal(before, sampler.weights()))
        list(sampler)
        self.assertGreater(before[1].item(), sampler.weight(1))

    def test_all_zero_is_uniform_and_bad_values_are_refused(self):
        self.assertTrue(torch.allclose(self.sampler([0.0, 0.0]).weights(), torch.ones(2)))
        for bad in ([float("nan")], [float("inf")], [-1.0], []):
            with self.assertRaises(ValueError):
                self.sampler(bad)
        with self.assertRaises(ValueError):
            self.sampler(2).update([0], [float("nan")])

    def test_a_loader_takes_it_and_hints_hear(self):
        heard = []

        class Heard:
            def importance(self, values):
                heard.append(dict(values))

        sampler = self.sampler([1.0, 2.0], num_samples=6, hints=Heard())
        loader = torch.utils.data.DataLoader(list(range(2)), batch_size=3, sampler=sampler)
        self.assertEqual(2, len(list(loader)))
        self.assertEqual([{0: 1.0, 1: 2.0}], heard)


if __name__ == "__main__":
    if torch is None:
        print("skipped: the sampler's tests, no torch for " + sys.executable)
    unittest.main(verbosity=2)
