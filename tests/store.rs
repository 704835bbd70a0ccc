//! The conformance suite that every store passes: each case of each topic, none left out for any store.
//!
//! A case is a function in `tests/store/TOPIC.rs` and a name in the list below; one that is not listed is dead code,
//! which is denied. `sqlite.rs` has what only a file can do, `postgres.rs` what only a server, `pace.rs` what needs no store, `upgrade.rs` what earlier releases left.

pub mod bench;
mod claims;
mod commits;
mod inbox;
mod lanes;
mod look;
mod pace;
mod paces;
mod patience;
mod people;
mod postgres;
mod retention;
mod settling;
mod sqlite;
mod statements;
mod twins;
mod upgrade;

use self::bench::Bench;

/// Runs a case on a runtime that has one thread: a store must not need more.
fn run<F: Future<Output = ()>>(case: impl FnOnce(Bench) -> F, address: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { case(Bench::open(address).await).await });
}

macro_rules! cases {
    ($address:literal; $($topic:ident: $($case:ident),+ $(,)?;)+) => {
        $(mod $topic { $(
            #[test]
            fn $case() {
                super::super::run(super::super::$topic::$case, $address);
            }
        )+ })+
    };
}

macro_rules! suite {
    ($store:ident, $address:literal) => {
        mod $store {
            cases! { $address;
                inbox:
                    a_fresh_event_waits_for_the_planner_as_it_came,
                    an_event_sent_twice_has_one_place,
                    the_same_id_from_another_source_is_another_event,
                    another_body_under_a_known_id_is_kept_and_flagged,
                    the_same_other_body_is_kept_once_and_not_without_end,
                    a_batch_of_equal_ids_keeps_one,
                    places_grow_in_the_order_of_arrival,
                    strange_ids_and_bodies_come_back_as_they_were,
                    a_body_that_is_no_json_comes_back_without_value,
                    times_are_kept_to_the_millisecond,
                    numbers_keep_their_text,
                    commands_and_signals_stand_in_the_same_order,
                    an_event_that_is_reported_has_one_place_too,
                    a_page_ends_when_its_bodies_are_large,
                    events_are_found_by_place_and_missing_ones_left_out,
                    a_closed_store_answers_unavailable,
                    it_closes_while_those_who_read_and_write_share_its_thread;
                look:
                    words_are_found_whatever_their_case_accents_and_escapes,
                    looking_page_by_page_neither_skips_nor_repeats_while_events_arrive,
                    what_rules_did_is_listed_by_rule_and_outcome_in_pages,
                    what_came_is_counted_by_the_hour,
                    the_counts_of_an_hour_grow_with_what_is_planned,
                    what_became_of_many_events_is_answered_at_once,
                    events_are_looked_up_by_place_and_end_early_where_they_are_large,
                    deliveries_are_looked_for_among_the_newest_and_further_back,
                    timers_are_listed_by_time_in_pages;
                commits:
                    one_holder_plans_at_a_time,
                    a_holder_keeps_its_token,
                    a_lease_that_ran_out_is_anothers_with_a_higher_token,
                    a_lease_that_ends_far_ahead_after_the_clock_was_set_back_is_anothers,
                    a_lost_lease_cannot_commit,
                    a_refused_plan_changes_nothing,
                    a_plan_moves_on_in_the_inbox_and_never_back,
                    a_delivery_planned_twice_is_made_once,
                    documents_are_replaced_and_deleted,
                    a_ledger_loads_what_its_keys_name_and_no_more,
                    timers_come_due_in_order_of_time_and_id,
                    a_timer_set_again_is_moved,
                    own_events_are_planned_once,
                    whys_are_kept_by_event_in_order,
                    a_plan_without_entries_leaves_the_inbox_alone;
                claims:
                    a_delivery_is_claimed_when_it_is_due_and_not_before,
                    a_claim_counts_the_attempt,
                    the_oldest_due_goes_first,
                    no_more_are_claimed_than_wanted,
                    what_is_under_way_counts_against_the_concurrency,
                    only_rooms_that_are_asked_for_are_claimed,
                    a_lease_that_ran_out_is_claimed_by_another,
                    a_lost_attempt_is_recorded_as_ambiguous,
                    three_lost_leases_in_a_row_set_a_delivery_aside,
                    an_outcome_ends_the_row_of_lost_leases,
                    a_delivery_set_aside_is_reported_with_its_reason,
                    next_is_when_something_more_comes_due,
                    next_is_when_a_lease_ends,
                    next_is_now_where_only_the_caller_had_no_room,
                    nothing_to_wait_for_is_no_next,
                    waiting_to_be_claimed_is_not_held_against_the_patience,
                    each_claim_lasts_as_long_as_its_own_destination_may_take;
                patience:
                    what_waits_too_long_for_a_destination_that_is_down_is_given_up_untried,
                    what_was_tried_says_with_its_death_what_the_last_attempt_said,
                    what_waits_too_long_for_a_service_that_said_later_is_given_up,
                    waiting_for_a_rate_is_never_given_up,
                    only_the_time_that_a_destination_was_up_is_forgiven,
                    waiting_in_a_lane_counts,
                    waiting_behind_what_ends_without_an_attempt_counts,
                    waiting_behind_what_is_given_up_counts,
                    next_is_when_the_first_is_given_up;
                settling:
                    a_delivered_attempt_ends_the_delivery,
                    a_retry_waits_for_its_time,
                    a_lost_lease_cannot_settle,
                    a_claim_is_settled_once,
                    a_late_settlement_counts_while_nobody_took_over,
                    the_kept_message_is_there_at_the_next_attempt,
                    a_lost_claim_keeps_no_message,
                    attempts_are_recorded_in_order_and_cut_to_size,
                    a_released_claim_is_due_again_and_uncounted,
                    a_released_delivery_can_be_cancelled_with_a_reason,
                    a_refused_form_stays_plain,
                    signals_of_a_settlement_stand_in_the_inbox,
                    a_dead_delivery_can_be_revived_and_is_rendered_anew,
                    a_delivered_one_is_not_revived,
                    what_waits_can_be_cancelled_and_what_is_under_way_cannot;
                lanes:
                    a_close_waits_for_what_was_announced_before_it,
                    lanes_do_not_hold_each_other_back,
                    deliveries_without_a_lane_wait_for_nobody,
                    a_dead_predecessor_lets_the_next_go,
                    the_first_receipt_of_a_lane_stays,
                    an_ambiguous_attempt_may_have_been_shown,
                    a_permanent_failure_was_shown_to_nobody,
                    a_lost_attempt_may_have_been_shown,
                    a_newer_message_replaces_an_untried_one,
                    a_reminder_replaces_no_message_of_another_action,
                    a_tried_message_is_not_replaced,
                    a_revived_predecessor_holds_its_lane_again,
                    what_spoke_of_a_case_that_closed_is_not_revived_and_what_said_so_is,
                    what_spoke_of_a_case_that_just_ended_is_revived,
                    what_still_waits_in_a_lane_that_closed_may_be_hurried;
                paces:
                    a_rate_is_kept_over_claims,
                    next_is_when_the_rate_allows_more,
                    five_failures_open_the_breaker_and_one_probe_goes_through,
                    a_probe_given_back_lets_another_go,
                    a_destination_that_fails_is_reported_once_and_its_recovery_once,
                    what_an_own_event_set_off_is_marked_so,
                    a_limited_destination_pauses_for_as_long_as_it_asked,
                    standings_show_every_destination_spoken_to;
                people:
                    events_are_listed_newest_first_in_pages,
                    who_reads_on_from_a_place_gets_the_oldest_first,
                    events_are_filtered_by_source_type_and_time,
                    an_id_is_found_in_every_source,
                    deliveries_are_listed_newest_first_in_pages,
                    a_page_begins_before_a_delivery_whatever_changes_meanwhile,
                    deliveries_are_filtered_by_every_field,
                    a_digest_is_listed_under_each_of_its_events,
                    a_census_counts_what_there_is,
                    documents_are_paged_by_id,
                    what_people_did_is_kept_whole_and_listed_newest_first,
                    destinations_wait_as_long_as_a_delivery_to_them_is_not_final,
                    a_probe_commits,
                    a_mark_of_life_gives_the_one_before,
                    a_clock_that_was_set_back_keeps_no_retry_waiting,
                    a_clock_that_was_set_back_keeps_nothing_waiting_that_was_due,
                    what_is_not_there_is_answered_as_nothing;
                retention:
                    old_events_go_with_their_whys,
                    an_unplanned_event_stays,
                    an_event_that_a_document_needs_stays_until_it_does_not,
                    an_event_that_a_timer_needs_stays,
                    an_event_stays_as_long_as_a_delivery_of_it,
                    an_event_of_a_digest_stays_with_the_digest,
                    dead_deliveries_outlive_delivered_ones,
                    a_pruned_id_stays_known_and_tells_another_body,
                    ids_are_forgotten_in_the_end,
                    a_place_is_never_given_twice,
                    pruning_is_done_in_pieces_and_ends,
                    a_receipt_outlives_its_delivery,
                    a_lane_whose_case_has_ended_goes_with_the_dead,
                    a_lane_in_which_a_delivery_waits_stays,
                    a_lane_that_ended_before_anything_was_said_goes_too;
            }
        }
    };
}

suite!(on_memory, "memory:");
suite!(on_sqlite, "sqlite:data/fanfare.db");
suite!(on_postgres, "postgres:");
