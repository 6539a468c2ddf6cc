import gc

from hypothesis import settings

OBJECTS_BETWEEN_COLLECTIONS = 20_000  # tests make many that die at once, and few rings

# no deadlines: a busy machine is no bug
settings.register_profile("whole", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=30)  # ./run check
settings.load_profile("whole")


def pytest_collection_finish():
    """What was collected lives to the end: looking through it again and again takes seconds."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS, 20, 20)
