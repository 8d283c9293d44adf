//! A stack as words of a command line: the way back from values to what a person would type.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::ValueEnum;

use super::{
    flags::{StackArgs, Switch},
    spec::{DATA_ONLY, LayerSpec, Medium},
};

/// Returns the flags that name this stack from any directory. A path that is no UTF-8 is as readable as it can be.
pub(crate) fn of(args: &StackArgs) -> Vec<String> {
    let mut words = Vec::new();
    args.lower.iter().for_each(|spec| words.extend(["--lower".into(), layer(spec)]));
    let mut say =
        |flag: &str, value: Option<String>| words.extend(value.into_iter().flat_map(|value| [flag.to_owned(), value]));
    say("--upper", args.upper.as_ref().map(layer));
    say("--work", args.work.as_deref().map(text));
    say("--upper-form", args.upper_form.and_then(value));
    // Not every command means the same when nothing is said.
    say("--durability", value(args.durability));
    say("--quota", args.quota.map(|bytes| bytes.to_string()));
    say("--quota-entries", args.quota_entries.map(|entries| entries.to_string()));
    say("--redirect-dir", value(args.redirect_dir).filter(|_| args.redirect_dir == Switch::Off));
    say("--zip-names", value(args.zip_names).filter(|coding| coding != "cp437"));
    say("--zip-backslash", value(args.zip_backslash).filter(|meaning| meaning != "keep"));
    words.extend(args.privileged_metadata.then(|| "--privileged-metadata".into()));
    words.extend(args.strict.then(|| "--strict".into()));
    words
}

fn value(choice: impl ValueEnum) -> Option<String> {
    choice.to_possible_value().map(|value| value.get_name().to_owned())
}

fn layer(spec: &LayerSpec) -> String {
    if spec.medium == Some(Medium::Memory) {
        return "mem:".into();
    }
    let path = text(&spec.path);
    let kind = spec.medium.map(|medium| if medium == Medium::Zip { "zip" } else { "dir" });
    if spec.root.is_root() && spec.name.is_none() && !spec.data_only {
        return kind.map_or_else(|| path.clone(), |kind| format!("{kind}:{path}"));
    }
    let parts = [
        ("type", kind.map(str::to_owned)),
        ("path", Some(path)),
        ("root", (!spec.root.is_root()).then(|| format!("/{}", String::from_utf8_lossy(spec.root.as_bytes())))),
        ("name", spec.name.clone()),
    ];
    let said = parts.into_iter().filter_map(|(key, value)| Some(format!("{key}={}", value?.replace(',', ",,"))));
    said.chain(spec.data_only.then(|| DATA_ONLY.to_owned())).collect::<Vec<_>>().join(",")
}

/// Returns a path that holds from any directory.
pub(crate) fn whole(path: &Path) -> PathBuf {
    fs::canonicalize(path).or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_owned())
}

fn text(path: &Path) -> String {
    whole(path).to_string_lossy().into_owned()
}

/// Returns words as a shell reads them back.
pub(crate) fn line(words: &[String]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, FromArgMatches};

    use super::*;
    use crate::cli::serve::ServeArgs;

    fn read(words: &[String]) -> StackArgs {
        let words = ["ovl-server".to_owned()].into_iter().chain(words.iter().cloned());
        ServeArgs::from_arg_matches(&ServeArgs::command().get_matches_from(words)).expect("they are flags").stack
    }

    #[test]
    fn what_is_written_is_read_as_the_same_stack() {
        let said = "--lower /a --lower zip:/b,c.zip --lower type=dir,path=/d,,e,root=/f,name=g --lower path=/h,data-only --upper /u --work /w \
                    --upper-form portable --durability none --quota 4096 --quota-entries 7 --redirect-dir off \
                    --zip-names bytes --zip-backslash separator --privileged-metadata --strict";
        let said: Vec<String> = said.split_whitespace().map(str::to_owned).collect();
        assert_eq!(of(&read(&said)), said);
        let small = ["--lower", "/a", "--upper", "mem:", "--durability", "full"].map(str::to_owned);
        assert_eq!(of(&read(&small)), small);
    }

    #[test]
    fn a_shell_reads_the_words_back() {
        let words = ["plain-/:=,x", "", "a b", "it's", "$HOME", "new\nline"].map(str::to_owned);
        assert_eq!(line(&words), "plain-/:=,x '' 'a b' 'it'\\''s' '$HOME' 'new\nline'");
    }
}
