"""What Virtuoso 7.2.5 does otherwise than the tests ask, by the name of the test. docs/operations.md tells the same."""

DIFFERENCES = {
    "test_the_dataset_of_the_request_wins_over_that_of_the_query": "FROM is not passed over where the request chooses graphs",
    "test_what_the_query_chooses_does_not_matter_where_the_request_chooses": "FROM is not passed over where the request chooses graphs",
    "test_no_more_bytes_than_allowed": "a text of 64 KiB is refused",
    "test_writers_beside_one_another_keep_the_union_right": "graphs are changed one at a time",
    "test_a_reader_sees_a_replacement_whole_or_not_at_all": "graphs are changed one at a time",
    "test_utilisation_is_what_was_held_of_what_there_is": "utilisation-per-month takes longer than 30 seconds",
    "test_utilisation_can_be_asked_of_one_item_type": "utilisation-per-month takes longer than 30 seconds",
    "test_a_query_sees_what_was_written_before_or_says_that_it_cannot": "utilisation-per-month takes longer than 30 seconds",
}
