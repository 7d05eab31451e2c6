"""The loop a data scientist writes first: `model.fit` on NumPy arrays, one trial after the other, both cores in each."""

from benchmarks.peers.trials import asked, train

if __name__ == "__main__":
    work = asked()
    for number in range(len(work.points)):
        train(work, number, cores=2)
