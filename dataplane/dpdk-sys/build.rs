//! Compiles the shim and makes the bindings, if the feature `native` is on.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=shim");
    #[cfg(feature = "native")]
    native::build();
}

#[cfg(feature = "native")]
mod native {
    use std::path::PathBuf;
    use std::process::Command;

    /// Releases of DPDK whose structures and functions are those that the crate was written for.
    const RELEASES: &str = "22.11";

    /// The libraries of DPDK that are called; drivers are loaded by these when they start.
    const LIBRARIES: [&str; 4] = ["rte_eal", "rte_ethdev", "rte_mbuf", "rte_mempool"];

    /// What the bindings have; all else of DPDK is left out.
    const FUNCTIONS: [&str; 17] = [
        "shim_.*",
        "rte_eal_init",
        "rte_dev_probe",
        "rte_dev_remove",
        "rte_eth_allmulticast_enable",
        "rte_eth_dev_adjust_nb_rx_tx_desc",
        "rte_eth_dev_close",
        "rte_eth_dev_get_mtu",
        "rte_eth_dev_get_port_by_name",
        "rte_eth_dev_start",
        "rte_eth_dev_stop",
        "rte_eth_macaddr_get",
        "rte_eth_promiscuous_enable",
        "rte_eth_stats_get",
        "rte_mempool_obj_iter",
        "rte_pktmbuf_pool_create",
        "rte_thread_(un)?register",
    ];

    pub(crate) fn build() {
        let release = pkg_config(&["--modversion"]);
        assert!(
            release.starts_with(RELEASES),
            "this crate is for DPDK {RELEASES}, and the system has {release}"
        );
        // They name the instruction set and a header that come before everything.
        let cflags = pkg_config(&["--cflags"]);
        let flags: Vec<&str> = cflags.split_whitespace().collect();
        let mut shim = cc::Build::new();
        shim.file("shim/shim.c").warnings(true).opt_level(2);
        for flag in &flags {
            shim.flag(flag);
        }
        shim.compile("dpdk_shim");
        for folder in pkg_config(&["--libs-only-L"]).split_whitespace() {
            println!("cargo::rustc-link-search=native={}", &folder[2..]);
        }
        for library in LIBRARIES {
            println!("cargo::rustc-link-lib=dylib={library}");
        }
        let mut bindings = bindgen::Builder::default()
            .header("shim/shim.h")
            .clang_args(&flags)
            .rust_edition(bindgen::RustEdition::Edition2024)
            .derive_debug(false)
            .generate_comments(false)
            .layout_tests(true);
        for function in FUNCTIONS {
            bindings = bindings.allowlist_function(function);
        }
        let folder = std::env::var_os("OUT_DIR").expect("cargo says where to write");
        bindings
            .allowlist_var("RTE_PKTMBUF_HEADROOM")
            .generate()
            .expect("libclang reads the headers of DPDK")
            .write_to_file(PathBuf::from(folder).join("bindings.rs"))
            .expect("the folder can be written to");
    }

    /// What pkg-config says about DPDK.
    fn pkg_config(arguments: &[&str]) -> String {
        let output = Command::new("pkg-config")
            .args(arguments)
            .arg("libdpdk")
            .output()
            .expect("pkg-config is installed");
        let fault = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "the feature needs DPDK, on Debian libdpdk-dev: {fault}"
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}
