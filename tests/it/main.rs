//! End-to-end tests: run the real binary with real data and a real database.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that can't continue has failed")]

mod accuracy;
mod bad_input;
mod book;
mod browser;
mod circles;
mod clusters;
mod commands_page;
mod dashboard;
mod database_page;
mod export;
mod export_results;
mod export_weights;
mod faults;
mod finetune;
mod front_pages;
mod fuzz;
mod generated;
mod help;
mod layers;
mod libraries_page;
mod lr;
mod new;
mod origins;
mod own_data;
mod own_model;
mod plot;
mod programs;
mod removal;
mod report;
mod same_bits;
mod schedules;
mod servers;
mod sharing;
mod store_faults;
mod support;
mod sweep;
mod sweep_file_page;
mod tables;
mod tasks;
mod together;
mod verdicts;
mod words;
mod zoo;
