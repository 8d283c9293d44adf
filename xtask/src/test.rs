//! Runs the stages in order and stops at the first that fails.

use std::{
    env,
    time::{Duration, Instant},
};

use crate::{
    house::House,
    stages::{STAGES, Stage, Stop},
};

/// Runs what `args` ask for: `--long`, and names of stages.
pub(crate) fn run(house: &House, args: &[String]) -> Result<(), String> {
    let chosen = choose(args)?;
    let mut table = String::new();
    let start = Instant::now();
    for stage in chosen {
        println!("\n== {}", stage.name);
        let (line, failure) = timed(house, stage);
        table.push_str(&line);
        if let Some(why) = failure {
            print_table(&table, start.elapsed());
            return Err(format!("stage `{}` failed: {why}", stage.name));
        }
    }
    print_table(&table, start.elapsed());
    Ok(())
}

/// Returns the stages that `args` name, or all. Refuses a name or flag that is none.
fn choose(args: &[String]) -> Result<Vec<&'static Stage>, String> {
    let (flags, names): (Vec<&str>, Vec<&str>) = args.iter().map(String::as_str).partition(|a| a.starts_with('-'));
    if let Some(flag) = flags.iter().find(|flag| **flag != "--long") {
        return Err(format!("no flag `{flag}`; there is `--long`"));
    }
    if let Some(name) = names.iter().find(|name| !STAGES.iter().any(|stage| stage.name == **name)) {
        let all: Vec<&str> = STAGES.iter().map(|stage| stage.name).collect();
        return Err(format!("no stage `{name}`; there are {}", all.join(", ")));
    }
    let wanted =
        |stage: &&Stage| if names.is_empty() { !stage.long || !flags.is_empty() } else { names.contains(&stage.name) };
    Ok(STAGES.iter().filter(wanted).collect())
}

/// Runs one stage and returns its line of the table, and why it failed if it did.
fn timed(house: &House, stage: &Stage) -> (String, Option<String>) {
    let start = Instant::now();
    let (verdict, failure) = judge(stage.run(house), env::var_os("CI").is_some());
    (format!("{:>8.1} s  {:<16}{verdict}\n", start.elapsed().as_secs_f64(), stage.name), failure)
}

/// Returns the verdict in words, and why it is a failure if it is one. In CI nothing may be missing.
fn judge(result: Result<(), Stop>, ci: bool) -> (String, Option<String>) {
    match result {
        Ok(()) => ("ok".into(), None),
        Err(Stop::Missing(what)) if !ci => (format!("skipped: {what}"), None),
        Err(Stop::Missing(why) | Stop::Failed(why)) => ("FAILED".into(), Some(why)),
    }
}

fn print_table(table: &str, total: Duration) {
    println!("\n== seconds\n{table}{:>8.1} s  in all", total.as_secs_f64());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(args: &[&str]) -> Vec<&'static str> {
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        choose(&args).unwrap().iter().map(|stage| stage.name).collect()
    }

    #[test]
    fn long_adds_stages_and_takes_none_away() {
        let (short, long) = (names(&[]), names(&["--long"]));
        assert!(short.len() < long.len() && short.iter().all(|name| long.contains(name)));
    }

    #[test]
    fn a_named_stage_runs_alone_even_a_long_one() {
        assert_eq!(names(&["release"]), ["release"]);
    }

    #[test]
    fn an_unknown_stage_or_flag_is_refused_with_what_there_is() {
        assert!(choose(&["nothing".into()]).err().unwrap().contains("format"));
        assert!(choose(&["--short".into()]).err().unwrap().contains("--long"));
    }

    #[test]
    fn what_is_missing_skips_a_stage_at_home_and_fails_it_in_ci() {
        let missing = || Err(Stop::Missing("no node".into()));
        assert_eq!(judge(missing(), false), ("skipped: no node".into(), None));
        assert_eq!(judge(missing(), true), ("FAILED".into(), Some("no node".into())));
    }
}
