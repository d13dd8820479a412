"""What a simulator of Graph must be able to do, line by line, and the test that shows each part of it."""

import ast
from pathlib import Path

import pytest

SHOWN: dict[int, dict[str, str]] = {
    1: {
        "refresh tokens rotate, old ones live on": "test_refresh_tokens_rotate_and_the_old_one_goes_on",
        "3599 seconds": "test_the_answer_has_microsofts_fields_and_lives_for_3599_seconds",
        "invalid_grant, consent_required and invalid_client by their numbers": "test_every_number_can_be_switched_on",
        "a consent that is missing": "test_a_consent_that_was_withdrawn_is_wanted_again",
        "an expired secret": "test_an_app_secret_expires",
        "temporarily_unavailable": "test_temporarily_unavailable_comes_with_503",
        "the tenant of personal accounts": "test_personal_accounts_have_the_personal_tenant",
        "opaque access tokens": "test_access_tokens_are_opaque_and_id_tokens_live_for_an_hour",
    },
    2: {
        "success, with the state": "test_success_is_a_code_and_the_state_as_it_was_sent",
        "access_denied": "test_declining_is_access_denied",
        "an admin's consent is required": "test_where_user_consent_is_forbidden_a_user_needs_an_admin",
        "PKCE": "test_the_verifier_must_fit_the_challenge",
        "codes for one use": "test_a_code_works_once",
        "codes for ten minutes": "test_a_code_lives_for_ten_minutes",
    },
    3: {
        "a 401 with claims": "test_a_challenge_asks_for_a_token_that_is_newer_than_the_incident",
        "for cp1 clients only": "test_a_client_without_cp1_is_never_challenged",
    },
    4: {
        "both addresses shake hands, decoding": "test_both_urls_shake_hands_with_tokens_that_need_url_decoding",
        "within ten seconds": "test_a_handshake_may_take_10_seconds",
        "ValidationError": "test_a_failed_handshake_is_a_validation_error_400",
        "409 with the id that exists": "test_the_same_again_is_409_with_the_existing_id",
        "the longest life": "test_life_is_capped_at_10070_minutes",
        "the shortest life": "test_life_is_raised_to_45_minutes_and_never_past",
        "a thousand": "test_over_1000_of_all_apps_in_a_mailbox_is_403",
        "ExtensionError and what is in it": "test_exchange_refuses_with_an_extension_error_and_an_inner_status",
    },
    5: {
        "PATCH is 200": "test_patch_renews_and_answers_200_with_the_whole_object",
        "or 404": "test_patch_delete_get_and_reauthorize_of_a_gone_one_are_404",
        "reauthorize is 204": "test_reauthorize_is_204_and_does_not_extend_the_expiry",
        "lists keep the client state to themselves": "test_get_and_list_show_no_client_state",
        "they end silently": "test_at_its_expiry_it_is_deleted_silently",
    },
    6: {
        "several subscriptions in one post": "test_one_post_carries_notifications_of_several_subscriptions",
        "duplicates": "test_duplicates_come_in_posts_of_their_own",
        "any order": "test_notifications_overtake_each_other",
        "created and updated for one create": "test_one_create_is_told_as_created_and_updated",
        "nothing for a while": "test_for_a_while_nothing_comes_at_all",
        "3 seconds, then 10": "test_the_first_answer_has_3_seconds_and_later_ones_10",
        "waits that grow": "test_waits_double_from_a_second_to_ten_minutes",
        "four hours": "test_after_4_hours_it_is_given_up",
        "slow": "test_new_notifications_for_a_slow_address_are_10_minutes_late",
        "drop": "test_notifications_for_a_dropped_address_are_lost_and_missed_is_told_when_it_works_again",
        "held for a stale token": "test_notifications_are_held_until_the_token_is_fresh_and_the_address_suffers_nothing",
    },
    7: {
        "three events, no resource": "test_the_three_events_have_a_subscription_and_neither_resource_nor_change_type",
        "batched": "test_events_of_several_kinds_and_subscriptions_come_in_one_post",
        "repeated": "test_it_is_repeated_every_15_minutes_while_nothing_happens",
        "a mode without": "test_a_mode_never_sends_them",
    },
    8: {
        "a window, which is fixed": "test_the_window_is_fixed_in_the_token_and_does_not_slide_with_time",
        "and required": "test_a_window_is_required",
        "parameters that are refused": "test_unsupported_parameters_are_400_error_invalid_url_query",
        "empty pages": "test_empty_pages_come_in_the_middle_of_a_round",
        "one link of the two": "test_a_page_has_a_next_link_or_a_delta_link_and_never_both",
        "untyped tombstones of unknown ids": "test_tombstones_are_untyped_and_may_name_unknown_ids",
        "tombstones of what is outside": "test_tombstones_name_events_created_changed_or_deleted_outside_the_window",
        "minimal occurrences": "test_occurrences_are_minimal_and_come_with_their_master_even_from_before_the_window",
        "a changed series is told as a whole": "test_any_change_of_a_series_tells_its_master_and_all_its_occurrences",
        "a lost occurrence is not": "test_a_deleted_occurrence_leaves_no_tombstone_only_the_master_and_those_that_remain",
        "replays": "test_items_are_replayed_as_they_are_now_on_later_pages_and_in_later_rounds",
        "410 on a delta link": "test_a_delta_link_ends_in_410_sync_state_not_found",
        "410 on a next link": "test_a_next_link_ends_in_410_in_the_middle_of_a_traversal",
    },
    9: {
        "change keys move with each write": "test_change_key_and_etag_move_on_every_write",
        "and once by themselves": "test_change_key_moves_once_more_by_itself_after_create",
        "If-Match": "test_if_match_with_an_old_etag_is_refused_on_patch_and_delete",
        "412 out of nothing": "test_a_412_may_come_without_any_precondition_and_a_retry_succeeds",
        "categories as a whole": "test_categories_are_replaced_as_a_whole_and_cleared_by_an_empty_array",
        "the subject": "test_a_subject_is_changed_by_itself_and_emptied_by_null",
        "ids after a move": "test_the_id_changes_on_a_move_and_the_immutable_one_does_not",
        "transactionId": "test_a_repeated_transaction_id_answers_201_and_makes_no_second_event",
        "canEdit": "test_nothing_can_be_written_where_can_edit_is_false",
        "404 after a deletion": "test_a_deleted_event_is_404_by_either_id",
    },
    10: {
        "names are unique, duplicates refused": "test_a_name_is_unique_whatever_its_case_and_a_duplicate_is_409",
        "and stay": "test_a_name_never_changes_and_a_color_does",
        "preset colours": "test_only_presets_and_none_are_colors_and_several_categories_may_share_one",
        "events keep the names of deleted ones": "test_deleting_a_category_leaves_its_name_on_events",
    },
    11: {
        "four at once, for each app and mailbox": "test_a_fifth_request_at_once_is_application_throttled_with_retry_after_1",
        "as 503, and Retry-After in all its forms": "test_throttling_is_429_or_503_with_retry_after_whole_decimal_or_absent",
        "10,000 in ten minutes": "test_ten_thousand_requests_per_ten_minutes_is_the_limit_unless_set_otherwise",
        "one too many": "test_one_request_too_many_in_ten_minutes_is_told_how_many_whole_seconds_to_wait",
        "lists of subscriptions": "test_listing_subscriptions_more_than_25_times_in_20_seconds_is_too_many_requests",
        "inside a batch": "test_a_batch_is_200_with_200_429_and_424_inside_in_shuffled_order",
    },
}


@pytest.mark.parametrize("line", range(1, 12))
def test_each_part_of_the_line_has_its_test(line: int) -> None:
    [file] = Path(__file__).parent.glob(f"test_{line:02}_*.py")
    defined = {node.name for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert {part: name for part, name in SHOWN[line].items() if name not in defined} == {}
