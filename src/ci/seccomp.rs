//! The system calls that a check may not make, as two programs for the kernel.
//!
//! Guards: even with a hole in the namespaces, a check cannot mount, load, trace the kernel, make namespaces or reach the
//! host of a virtual machine. `ptrace` stays, within its own processes: debuggers and sanitizers need it. Leaves the
//! loading to `sandbox`.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

/// Refused with EPERM.
const REFUSED: &[i64] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_adjtimex,
    libc::SYS_bpf,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_lookup_dcookie,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_name_to_handle_at,
    libc::SYS_nfsservctl,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pivot_root,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
];

/// Said not to exist, so that libraries take their older way: `clone3` hides its flags from a filter.
const ABSENT: &[i64] =
    &[libc::SYS_clone3, libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];

/// Address families that sockets may have. Not AF_VSOCK: it is not part of a network namespace.
const FAMILIES: [i32; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// Flags of `clone` that make a namespace.
const NAMESPACES: [i32; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
];

/// Compiles the two programs in the form that `bwrap --add-seccomp-fd` reads.
pub(super) fn programs() -> Result<[Vec<u8>; 2], BackendError> {
    let mut refused: BTreeMap<i64, Vec<SeccompRule>> = REFUSED.iter().map(|number| (*number, Vec::new())).collect();
    let other_family =
        FAMILIES.iter().map(|family| condition(0, SeccompCmpOp::Ne, *family)).collect::<Result<_, _>>()?;
    refused.insert(libc::SYS_socket, vec![SeccompRule::new(other_family)?]);
    let new_namespace = NAMESPACES.iter().map(|flag| {
        let set = SeccompCmpOp::MaskedEq(u64::from(flag.unsigned_abs()));
        SeccompRule::new(vec![condition(0, set, *flag)?])
    });
    refused.insert(libc::SYS_clone, new_namespace.collect::<Result<_, _>>()?);
    // Pushes characters into a terminal (TIOCSTI) or its console (TIOCLINUX).
    let terminal = [0x5412, 0x541c].map(|request| SeccompRule::new(vec![condition(1, SeccompCmpOp::Eq, request)?]));
    refused.insert(libc::SYS_ioctl, terminal.into_iter().collect::<Result<_, _>>()?);
    let absent = ABSENT.iter().map(|number| (*number, Vec::new())).collect();
    Ok([compile(refused, libc::EPERM)?, compile(absent, libc::ENOSYS)?])
}

fn condition(argument: u8, operator: SeccompCmpOp, value: i32) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, u64::from(value.unsigned_abs()))
}

fn compile(mut rules: BTreeMap<i64, Vec<SeccompRule>>, errno: i32) -> Result<Vec<u8>, BackendError> {
    if cfg!(target_arch = "x86_64") {
        // The same calls once more under the numbers of the x32 ABI, which a kernel may offer beside its own.
        let again: Vec<_> = rules.iter().map(|(number, rules)| (number | 0x4000_0000, rules.clone())).collect();
        rules.extend(again);
    }
    let refuse = SeccompAction::Errno(errno.unsigned_abs());
    let arch = std::env::consts::ARCH.try_into()?;
    let program: BpfProgram = SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch)?.try_into()?;
    let bytes = program.iter().flat_map(|step| {
        let [c0, c1] = step.code.to_ne_bytes();
        let [k0, k1, k2, k3] = step.k.to_ne_bytes();
        [c0, c1, step.jt, step.jf, k0, k1, k2, k3]
    });
    Ok(bytes.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_programs_fit_into_the_kernel() {
        for program in programs().unwrap() {
            assert!(!program.is_empty() && program.len() % 8 == 0);
            assert!(program.len() / 8 < 4096, "the kernel takes 4096 instructions");
        }
    }
}
