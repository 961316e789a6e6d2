//! Why a program failed, from its output: the error of its last traceback, or its last line. Launchers of several
//! processes (torchrun, accelerate) print their own reports after the program's, which are skipped. All functions
//! except `from_log` are pure.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use crate::report::quote;

/// How much of the end of a log is read, in bytes. Torchrun prints a traceback for each rank and then two screens of
/// reports.
const TAIL_BYTES: u64 = 64 << 10;

/// Maximum length of a quoted line, in characters. Long, because errors often say at the end what to do.
const MAX_CHARS: usize = 480;

/// The first line of a Python traceback.
const TRACEBACK: &str = "Traceback (most recent call last):";

/// Errors with which launchers report that the program they started has failed.
const LAUNCHER_ERRORS: [&str; 4] =
    ["ChildFailedError", "CalledProcessError", "SignalException", "ProcessExitedException"];

/// Marks the log lines that torchrun adds.
const ELASTIC: &str = "torch/distributed/elastic/";

/// The reason of the failure as part of a sentence, from the log from byte `from` on. `None` if nothing was printed.
pub(crate) fn from_log(log: &Path, from: u64) -> Option<String> {
    let tail = || -> std::io::Result<String> {
        let mut log = File::open(log)?;
        let length = log.metadata()?.len();
        log.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES).max(from)))?;
        let mut bytes = Vec::new();
        log.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    from_output(&tail().ok()?)
}

/// The same for the text of a log.
fn from_output(output: &str) -> Option<String> {
    let lines: Vec<&str> = output.lines().map(str::trim_end).collect();
    let all = tracebacks(&lines);
    let own = || all.iter().rev().filter(|traceback| !traceback.is_from_launcher());
    if let Some(root) = root_cause(&lines) {
        let prefix = format!("[rank{}]:", root.rank);
        if let Some(first) = own().find(|traceback| traceback.prefix.trim() == prefix) {
            return Some(format!(
                "its last traceback (rank {}): {}",
                root.rank,
                quote(first.error, MAX_CHARS)
            ));
        }
        if let Some(signal) = root.signal {
            return Some(format!("rank {} ended first: {}", root.rank, quote(signal, MAX_CHARS)));
        }
    }
    if let Some(last) = own().next() {
        return Some(format!("its last traceback: {}", quote(last.error, MAX_CHARS)));
    }
    let end = all.first().map_or(lines.len(), |launchers| launchers.at);
    let has_text = |line: &&&str| line.chars().any(char::is_alphanumeric) && !line.contains(ELASTIC);
    let line = lines.iter().take(end).rev().find(has_text).or_else(|| lines.iter().rev().find(has_text))?;
    Some(format!("its last line was: {}", quote(line.trim(), MAX_CHARS)))
}

/// A traceback in a program's output.
struct Traceback<'a> {
    /// Index of its first line.
    at: usize,
    /// The prefix of each of its lines, such as `[rank1]: ` under torchrun.
    prefix: &'a str,
    /// The first line of the error at its end.
    error: &'a str,
}

impl Traceback<'_> {
    fn is_from_launcher(&self) -> bool {
        let name = self.error.split([':', ' ']).next().unwrap_or_default();
        LAUNCHER_ERRORS.iter().any(|launcher| name.ends_with(launcher))
    }
}

/// All tracebacks in order. A traceback without an error at its end is ignored.
fn tracebacks<'a>(lines: &[&'a str]) -> Vec<Traceback<'a>> {
    let begins = lines.iter().enumerate().filter_map(|(at, line)| Some((at, line.strip_suffix(TRACEBACK)?)));
    begins
        .filter_map(|(at, prefix)| {
            // Lines of other ranks may be in between. Frames are indented.
            let rest = lines.iter().skip(at + 1).filter_map(|line| line.strip_prefix(prefix));
            let error =
                rest.into_iter().find(|line| !line.is_empty() && !line.starts_with(char::is_whitespace))?;
            Some(Traceback { at, prefix, error })
        })
        .collect()
}

/// Torchrun's "root cause": the process that failed first. Later ones often fail because of it.
struct RootCause<'a> {
    rank: &'a str,
    /// Torchrun's description of the signal that killed it.
    signal: Option<&'a str>,
}

fn root_cause<'a>(lines: &[&'a str]) -> Option<RootCause<'a>> {
    let begin = lines.iter().rposition(|line| line.starts_with("Root Cause"))?;
    let field = |name: &str| {
        lines.iter().skip(begin).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            (key.trim() == name).then_some(value.trim())
        })
    };
    let rank = field("rank")?.split_whitespace().next()?;
    Some(RootCause { rank, signal: field("traceback").filter(|text| text.starts_with("Signal")) })
}

#[cfg(test)]
mod tests {
    use super::from_output;

    /// The output of torchrun 2.15 for two processes, of which the second failed first.
    fn torchrun(output: &str, code: &str, traceback: &str) -> String {
        let line = "=".repeat(60);
        format!(
            "{output}\
W1128 22:32:20.473000 27096 torch/distributed/elastic/multiprocessing/api.py:1028] Sending process 307 closing signal SIGTERM
E1128 22:32:20.594000 27096 torch/distributed/elastic/multiprocessing/api.py:1002] failed (exitcode: {code}) local_rank: 1
Traceback (most recent call last):
  File \"bin/torchrun\", line 6, in <module>
    sys.exit(main())
             ^^^^^^
torch.distributed.elastic.multiprocessing.errors.ChildFailedError: 
{line}
fail.py FAILED
{}
Failures:
[1]:
  time      : 2026-11-28_22:32:20
  rank      : 0 (local_rank: 0)
  exitcode  : -15 (pid: 27307)  (SIGTERM)
  traceback : Signal 15 (SIGTERM) received by PID 27307
{}
Root Cause (first observed failure):
[0]:
  time      : 2026-11-28_22:32:20
  rank      : 1 (local_rank: 1)
  exitcode  : {code} (pid: 27308)
  error_file: <N/A>
  traceback : {traceback}
{line}
",
            "-".repeat(60),
            "-".repeat(60),
        )
    }

    const SEE: &str = "To enable traceback see: https://pytorch.org/docs/stable/elastic/errors.html";

    /// The second rank raises; the first one loses its connection because of that.
    const BOTH: &str = "\
step 3
[rank1]: Traceback (most recent call last):
[rank1]:   File \"fail.py\", line 6, in <module>
[rank0]: Traceback (most recent call last):
[rank1]:     raise ValueError(\"bad width: 3\")
[rank1]: ValueError: bad width: 3
[rank0]:   File \"fail.py\", line 11, in <module>
[rank0]:     dist.barrier()
[rank0]: RuntimeError: Connection closed by peer
";

    fn reason(output: &str) -> String {
        from_output(output).expect("a reason")
    }

    #[test]
    fn under_torchrun_the_rank_that_failed_first_is_the_reason() {
        assert_eq!(
            reason(&torchrun(BOTH, "1", SEE)),
            "its last traceback (rank 1): ValueError: bad width: 3"
        );
        let killed = torchrun("step 3\n", "-9", "Signal 9 (SIGKILL) received by PID 27308");
        assert_eq!(reason(&killed), "rank 1 ended first: Signal 9 (SIGKILL) received by PID 27308");
        // Before the ranks are connected, their lines have no prefix.
        let early =
            torchrun("Traceback (most recent call last):\n  File \"x\"\nKeyError: 'width'\n", "1", SEE);
        assert_eq!(reason(&early), "its last traceback: KeyError: 'width'");
        assert_eq!(reason(&torchrun("no data here\n", "1", SEE)), "its last line was: no data here");
        let silent = reason(&torchrun("", "1", SEE));
        assert!(silent.starts_with("its last line was: traceback : To enable"), "{silent}");
    }

    #[test]
    fn reports_of_other_launchers_are_skipped() {
        let launched = "Traceback (most recent call last):\n  File \"a.py\", line 1\nValueError: boom\n\
                        Traceback (most recent call last):\n  File \"launch.py\", line 999\n\
                        subprocess.CalledProcessError: Command '['python3', 'a.py']' returned non-zero exit status 1.\n";
        assert_eq!(reason(launched), "its last traceback: ValueError: boom");
        let spawned = "Traceback (most recent call last):\n  File \"a.py\", line 9\n\
                       torch.multiprocessing.spawn.ProcessRaisedException: \n\n\
                       -- Process 1 terminated with the following error:\n\
                       Traceback (most recent call last):\n  File \"a.py\", line 5, in work\nValueError: bad\n";
        assert_eq!(reason(spawned), "its last traceback: ValueError: bad");
    }

    #[test]
    fn multi_line_errors_and_later_output_are_handled() {
        let cuda = "Traceback (most recent call last):\n  File \"a.py\", line 1, in <module>\n    x.cuda()\n\
                    RuntimeError: CUDA error: out of memory\nFor debugging consider CUDA_LAUNCH_BLOCKING=1\n\
                    Compile with `TORCH_USE_CUDA_DSA` to enable assertions.\n";
        assert_eq!(reason(cuda), "its last traceback: RuntimeError: CUDA error: out of memory");
        let chained = "Traceback (most recent call last):\n  File \"a.py\"\nKeyError: 1\n\n\
                       During handling of the above exception, another exception occurred:\n\n\
                       Traceback (most recent call last):\n  File \"a.py\"\nOSError: gone\nclosing the log\n";
        assert_eq!(reason(chained), "its last traceback: OSError: gone");
        let group = "  + Exception Group Traceback (most recent call last):\n  |   File \"a.py\"\n  | ExceptionGroup: two\n\
                     +-+---------------- 1 ----------------\n    | Traceback (most recent call last):\n    |   File \"a.py\"\n    \
                     | ValueError: inner\n    +------------------------------------\n";
        assert_eq!(reason(group), "its last traceback: ValueError: inner");
    }

    #[test]
    fn without_a_traceback_the_last_line_with_text_is_quoted() {
        assert_eq!(reason("step 1\nout of memory\n\n=====\n"), "its last line was: out of memory");
        // A truncated traceback is ignored.
        assert_eq!(
            reason("Traceback (most recent call last):\n  File \"a.py\"\n"),
            "its last line was: File \"a.py\""
        );
        assert_eq!(from_output(""), None);
        assert_eq!(from_output("=====\n  \n"), None);
    }
}
