//! The environment of training: everything other than the configuration on which the bits of a result may depend. It
//! is stored with every trial.

use store::Environment;

use crate::Options;

/// Describes this machine and this program.
pub fn environment(options: &Options) -> Environment {
    Environment {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        git_commit: option_env!("SWEEP_GIT_COMMIT").unwrap_or_default().to_owned(),
        cpu: cpu_model(),
        cpu_features: cpu_features(),
        threads: std::thread::available_parallelism().map_or(1, |n| n.get()) as i64,
        device: options.device.to_string(),
        os: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
    }
}

/// The processor's name, or `unknown`.
fn cpu_model() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or_else(|| "unknown".to_owned(), |(_, name)| name.trim().to_owned())
}

/// The vector instructions by which kernels are chosen.
fn cpu_features() -> String {
    #[cfg(target_arch = "x86_64")]
    let found = [
        ("avx2", std::arch::is_x86_feature_detected!("avx2")),
        ("fma", std::arch::is_x86_feature_detected!("fma")),
        ("avx512f", std::arch::is_x86_feature_detected!("avx512f")),
        ("avx512bw", std::arch::is_x86_feature_detected!("avx512bw")),
        ("avx512vl", std::arch::is_x86_feature_detected!("avx512vl")),
    ];
    #[cfg(target_arch = "aarch64")]
    let found = [("neon", std::arch::is_aarch64_feature_detected!("neon"))];
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let found: [(&str, bool); 0] = [];
    found.iter().filter(|(_, has)| *has).map(|(name, _)| *name).collect::<Vec<_>>().join(" ")
}
