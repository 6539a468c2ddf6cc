import gc

from hypothesis import settings

OBJECTS_BETWEEN_COLLECTIONS = 20_000  # tests make many that die at once, and few rings

settings.register_profile("quick", max_examples=30)  # ./run check; ./run test makes 100


def pytest_collection_finish():
    """What was collected lives to the end: looking through it again and again takes seconds."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS, 20, 20)
