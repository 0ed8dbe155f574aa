"""What everything else stands on: files, seeds, recipes and their store, trainings."""
