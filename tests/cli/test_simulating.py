def test_mistakes_are_found_before_anything_is_drawn(mistake):
    assert "0 rounds; expected 1 or more" in mistake("bench", "sim", "--rounds", "0")
    assert "no task_sampler 'pikc'" in mistake("bench", "sim", "--task", "pikc")


def test_mistakes_are_found_before_anything_is_recorded(mistake):
    assert "0 rounds; expected 1 or more" in mistake("bench", "generation", "--rounds", "0")
    assert "image_size is (111, 64), expected even" in mistake("bench", "generation", "--width", "111")
