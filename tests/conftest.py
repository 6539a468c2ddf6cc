import gc

OBJECTS_BETWEEN_COLLECTIONS = 20_000  # tests make many that die at once, and few rings


def pytest_collection_finish():
    """What was collected lives to the end: looking through it again and again takes seconds."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS, 20, 20)
