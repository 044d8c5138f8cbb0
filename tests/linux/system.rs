// SPDX-License-Identifier: MIT OR Apache-2.0
//! `linux/apply` with systems and interfaces as they are found in the field, each shell of an initramfs in turn.

use std::process::Command;

use identity_tests::block::Loop;
use identity_tests::image::Image;
use identity_tests::machine::Machine;

const UUID: &str = "9e3c1d40-5a37-4c8e-9f0b-6d2a81e4c7f5";
const MACHINE_ID: &str = "6e1d70a56f8e5583897607b199c862c6";
/// In the first of these a script is run unless it says more.
const SHELLS: [&str; 3] = ["dash", "busybox ash", "bash --posix"];

/// A machine whose card has been read, and what a script in it says. `$apply` is `linux/apply` in the shell.
fn said(card: &Loop, shell: &str, tree: &[(&str, &[u8])], script: &str) -> String {
    let machine = Machine::new().card("mmcblk0", card, &[("device/cid", "035344534C33324780AABBCCDD0155E7")]);
    let machine = tree.iter().fold(machine, |machine, (name, value)| machine.tree(name, value));
    let outcome = machine.script(shell, script).run();
    outcome.exits(0).stdout
}

fn stamped(options: &str) -> Image {
    Image::stamped(format!("--profile panda --uuid {UUID} --hostname panda-1 {options}"))
}

fn each_shell() -> impl Iterator<Item = &'static str> {
    let is_there = |shell: &&str| identity_tests::is_shell(&shell.split(' ').collect::<Vec<_>>());
    SHELLS.into_iter().filter(is_there)
}

#[test]
fn the_i_of_an_alias_is_decimal_also_behind_a_zero() {
    let image = stamped("--mac 8=02:00:00:00:00:08 --mac 10=02:00:00:00:00:10");
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    let third = image.run("read --field mac.3").stdout;
    const SCRIPT: &str = r#"
        mkdir -p /run/nodes; mount --bind /run/nodes /run/nodes
        for i in 0 1 2; do
            mkdir -p /sys/class/net/eth$i/device
            echo 1 >/sys/class/net/eth$i/type
            echo 52:54:00:12:34:56 >/sys/class/net/eth$i/address
        done
        ln -s /sys/firmware/devicetree/base/soc/ethernet@8 /sys/class/net/eth0/of_node
        ln -s /sys/firmware/devicetree/base/soc/ethernet@9 /sys/class/net/eth1/of_node
        ln -s /sys/firmware/devicetree/base/soc/ethernet@3 /sys/class/net/eth2/of_node
        $apply 2>/run/log; echo "status=$?"
        cat /sys/class/net/eth?/address /run/log"#;
    let tree: &[(&str, &[u8])] = &[
        ("aliases/ethernet08", b"/soc/ethernet@8\0"),
        ("aliases/ethernet003", b"/soc/ethernet@3\0"),
        ("aliases/ethernet999", b"/soc/ethernet@9\0"),
        ("soc/ethernet@8/reg", b""),
        ("soc/ethernet@9/reg", b""),
        ("soc/ethernet@3/reg", b""),
    ];
    for shell in each_shell() {
        let said = said(&card, shell, tree, SCRIPT);
        let lines: Vec<_> = said.lines().collect();
        assert_eq!(
            lines[..4],
            ["status=0", "02:00:00:00:00:08", "52:54:00:12:34:56", third.trim()],
            "{shell}: {said}"
        );
        assert!(said.contains("eth1 is no ethernet<i> of the device tree"), "{said}");
    }
}

#[test]
fn without_a_device_tree_nothing_complains() {
    let image = stamped("");
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    const SCRIPT: &str = "mkdir -p /sys/class/net/eth0/device; echo 1 >/sys/class/net/eth0/type
        echo 52:54:00:12:34:56 >/sys/class/net/eth0/address
        mount -t tmpfs none /sys/firmware; $apply 2>&1; echo status=$?";
    for shell in each_shell() {
        let said = said(&card, shell, &[], SCRIPT);
        let expected = format!(
            "<6>panda, {UUID}\n<6>eth0 is no ethernet<i> of the device tree, and keeps 52:54:00:12:34:56\nstatus=0\n"
        );
        assert_eq!(said, expected, "{shell}");
    }
}

#[test]
fn machine_id_and_hostname_are_put_over_what_the_systems_own_links_lead_to() {
    let image = stamped("");
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    // What another system of the same name would have must stay.
    const SCRIPT: &str = r#"
        $apply 2>/dev/null
        system() { root=/run/$1; mkdir -p "$root/etc"; echo image >"$root/etc/hostname"; }
        try() { $apply root "$root" 2>&1; echo "$1: $(cat "$root/$2") $(cat "$root/$3")"; }
        mkdir -p /run/outside; echo outside >/run/outside/id; mkdir -p /data; 
        system plain; : >$root/etc/machine-id; try plain etc/machine-id etc/hostname
        system absolute; mkdir -p $root/data; : >$root/data/id; ln -s /data/id $root/etc/machine-id
        rm $root/etc/hostname; echo image >$root/data/name; ln -s ../data/name $root/etc/hostname; try absolute data/id data/name
        system directory; mkdir -p $root/data/etc; rmdir_etc=$root/etc; rm -r $root/etc; ln -s /data/etc $root/etc
        : >$root/data/etc/machine-id; echo image >$root/data/etc/hostname; try directory data/etc/machine-id data/etc/hostname
        system above; : >$root/id; ln -s ../../../../../../id $root/etc/machine-id; try above id etc/hostname
        system loop; ln -s machine-id $root/etc/machine-id; $apply root "$root" 2>&1
        system dangling; ln -s /nowhere $root/etc/machine-id; $apply root "$root" 2>&1
        system nameless; : >$root/etc/machine-id; rm $root/etc/hostname; $apply root "$root" 2>&1; ls $root/etc
        "#;
    let expected = format!(
        "plain: {MACHINE_ID} panda-1\nabsolute: {MACHINE_ID} panda-1\ndirectory: {MACHINE_ID} panda-1\n\
         above: {MACHINE_ID} panda-1\n{0}{0}machine-id\n",
        "<3>machine-id: the system has no /etc/machine-id to put the card's over; make an empty one in its image\n"
    );
    for shell in each_shell() {
        assert_eq!(said(&card, shell, &[], SCRIPT), expected, "{shell}");
    }
}

#[test]
fn the_last_line_of_fstab_counts_also_without_its_end() {
    let image = stamped("");
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    const SCRIPT: &str = r#"
        $apply 2>/dev/null
        for line in '/dev/mmcblk0p1 / ext4 ro,noatime 0 1' '/dev/mmcblk0p1 / ext4 ro' '/dev/mmcblk0p1 / ext4 defaults 0 1'; do
            root=/run/system; mkdir -p $root/etc
            umount $root/etc/machine-id 2>/dev/null; echo 22222222222222222222222222222222 >$root/etc/machine-id
            printf '# a comment\n%s' "$line" >$root/etc/fstab
            $apply root $root 2>/dev/null; cat $root/etc/machine-id
        done"#;
    let expected = format!("{MACHINE_ID}\n{MACHINE_ID}\n22222222222222222222222222222222\n");
    for shell in each_shell() {
        assert_eq!(said(&card, shell, &[], SCRIPT), expected, "{shell}");
    }
}

#[test]
fn the_first_boot_binds_the_card_and_the_next_ones_say_nothing() {
    let image = stamped("");
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    // A boot has a /run of its own.
    const BOOT: &str =
        "$apply 2>/dev/null; $apply bind 2>&1; echo status=$?; $apply bind 2>&1; echo again=$?";
    for shell in each_shell() {
        image.run("verify --format json");
        let bound = said(&card, shell, &[], BOOT);
        assert_eq!(
            bound, "<6>the identity is bound to this card, /dev/mmcblk0\nstatus=0\nagain=0\n",
            "{shell}"
        );
        assert_eq!(said(&card, shell, &[], BOOT), "status=0\nagain=0\n", "{shell}: bound already");
        card.run("bind --unbind").exits(0);
    }
    // Not a damaged one; said once in a boot.
    image.damage(6607);
    let before = image.bytes();
    let refused = said(&card, "dash", &[], BOOT);
    assert!(refused.starts_with("<3>the identity is not bound to this card: "), "{refused}");
    assert!(refused.contains("degraded") && refused.ends_with("\nstatus=5\nagain=0\n"), "{refused}");
    assert!(image.bytes() == before);
    // Nor where nothing was taken at the start.
    assert_eq!(said(&card, "dash", &[], "$apply bind 2>&1; echo status=$?"), "status=0\n");
}

#[test]
fn a_card_that_has_lost_what_was_read_is_said_with_a_way_back() {
    // Nothing may be lost that the card had.
    let image = stamped("--serial SN42 --mac 1=02:00:00:00:00:01 --set rack=b4 --set empty=");
    let before = image.run("read --format json --interfaces 2").exits(0).json();
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    const SCRIPT: &str = r#"
        mknod /dev/zero c 1 5; clear() { dd if=/dev/zero of=/dev/mmcblk0 bs=512 seek=$1 count=1 conv=notrunc,fsync 2>/dev/null; }
        $apply 2>/dev/null
        $apply check 2>&1; echo "whole: $?"
        clear 52; $apply check 2>&1; echo "one: $?"
        clear 6607; $apply check 2>&1; echo "none: $?"
        rm /dev/mmcblk0; $apply check 2>&1; echo "gone: $?"
        cat /run/identity/identity.json"#;
    for (number, shell) in each_shell().enumerate() {
        let all = said(&card, shell, &[], SCRIPT);
        let lines: Vec<_> = all.lines().collect();
        assert_eq!(lines[0], "whole: 0", "{shell}: {all}");
        assert!(lines[1].starts_with("<3>/dev/mmcblk0 is degraded since the start: "), "{shell}: {all}");
        assert!(lines[1].contains("`identity repair"), "{shell}: {all}");
        assert_eq!(lines[2], "one: 1", "{shell}: {all}");
        let lost = "<3>/dev/mmcblk0 has lost the identity that was read at the start: it is blank; ";
        let advice = lines[3].strip_prefix(lost).unwrap_or_else(|| panic!("{shell}: {all}"));
        assert_eq!(lines[4], "none: 1", "{shell}: {all}");
        assert!(lines[5].contains("it is unreadable;") && lines[6] == "gone: 1", "{shell}: {all}");

        // As it says, on the card that was lost.
        let file = image.dir().join("identity.json");
        std::fs::write(&file, lines[7..].join("\n")).expect("own directory");
        let (_, command) = advice.split_once("and there: identity ").expect("a command");
        let words = command.replace("identity.json", &file.to_string_lossy()).replace("CARD", "");
        // Each on a workstation of its own: the same one would ask the second time.
        let mut restore = card.identity(&words);
        restore.command().env("XDG_STATE_HOME", image.dir().join(format!("states{number}")));
        restore.run().exits(0);
        let mut after = image.run("read --format json --interfaces 2").exits(0).json();
        after["generation"] = before["generation"].clone();
        assert_eq!(after, before, "{shell}");
    }
    // Somebody has given it another one.
    const REPLACED: &str = "$apply 2>/dev/null; export XDG_STATE_HOME=/run/states
        identity stamp --force --profile other --uuid 0b9ad1c6-3a4b-4f3e-8d55-1f0e6f1a7c02 /dev/mmcblk0 >/dev/null 2>&1
        $apply check 2>&1; echo status=$?";
    let said = said(&card, "dash", &[], REPLACED);
    assert!(said.contains("it is valid, with 0b9ad1c6-3a4b-4f3e-8d55-1f0e6f1a7c02;"), "{said}");
}

#[test]
fn what_a_system_has_by_its_own_settings_is_said() {
    let image = stamped("--mac 0=02:00:00:00:00:01");
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    // The machine-id is that of the machine that runs the tests.
    const SCRIPT: &str = r#"
        differences() { $apply differences 2>&1 | grep -v machine-id; }
        mkdir -p /sys/class/net/eth0/device; echo 1 >/sys/class/net/eth0/type
        echo 02:00:00:00:00:01 >/sys/class/net/eth0/address
        ln -s /sys/firmware/devicetree/base/soc/ethernet@8 /sys/class/net/eth0/of_node
        $apply 2>/dev/null; echo same; differences; echo others
        echo mine >/proc/sys/kernel/hostname; echo 52:54:00:12:34:56 >/sys/class/net/eth0/address; differences"#;
    let tree: &[(&str, &[u8])] = &[("aliases/ethernet0", b"/soc/ethernet@8\0"), ("soc/ethernet@8/reg", b"")];
    for shell in each_shell() {
        let expected = "same\nothers\n\
             <5>the hostname is mine by this system's own settings, the card says panda-1\n\
             <5>eth0, ethernet0, is 52:54:00:12:34:56 by this system's own settings, the card says 02:00:00:00:00:01\n";
        assert_eq!(said(&card, shell, tree, SCRIPT), expected, "{shell}");
    }
}

/// From the kernel's arguments, which our U-Boot adds to; another init does not know them.
#[test]
fn a_machine_id_that_systemd_will_take_is_not_called_lost() {
    let image = stamped("");
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    let script = format!(
        r#"$apply 2>/dev/null; root=/run/root; mkdir -p $root/etc $root/lib/systemd
        echo 11111111111111111111111111111111 >$root/etc/machine-id; : >$root/lib/systemd/systemd
        echo "quiet systemd.machine_id={MACHINE_ID}" >/run/line; mount --bind /run/line /proc/cmdline
        $apply root $root 2>&1; echo systemd; rm $root/lib/systemd/systemd; $apply root $root 2>&1
        : >$root/lib/systemd/systemd; echo quiet >/run/line; $apply root $root 2>&1; :"#
    );
    for shell in each_shell() {
        let all = said(&card, shell, &[], &script);
        let keeps = "<3>machine-id: the system keeps its own, 11111111111111111111111111111111; empty \
                     /etc/machine-id for the card's\n";
        assert_eq!(all, format!("systemd\n{keeps}{keeps}"), "{shell}");
    }
}

#[test]
fn ssh_host_keys_are_made_for_an_identity_once() {
    let image = stamped("");
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    if Command::new("ssh-keygen").arg("-?").output().is_err() {
        return identity_tests::block::skipped("ssh-keygen is not installed");
    }
    const SCRIPT: &str = r#"
        $apply 2>/dev/null
        mkdir -p /run/ssh /etc/ssh; mount --bind /run/ssh /etc/ssh
        echo image >/etc/ssh/ssh_host_rsa_key; echo image >/etc/ssh/ssh_host_dsa_key; echo config >/etc/ssh/sshd_config
        keys() { cat /etc/ssh/ssh_host_*_key.pub | sort | sha256sum; }
        $apply ssh-keys 2>&1; first=$(keys); ls /etc/ssh; stat -c %a /etc/ssh/ssh_host_rsa_key
        $apply ssh-keys 2>&1; [ "$(keys)" = "$first" ] && echo kept
        # The power went before all was done; or the card is another.
        rm /etc/ssh/identity-uuid; mkdir -p /etc/ssh/identity-new/etc; $apply ssh-keys 2>&1
        [ "$(keys)" != "$first" ] && echo new; ls /etc/ssh | grep identity
        echo 0b9ad1c6-3a4b-4f3e-8d55-1f0e6f1a7c02 >/etc/ssh/identity-uuid; second=$(keys); $apply ssh-keys 2>&1
        [ "$(keys)" != "$second" ] && echo new; cat /etc/ssh/identity-uuid
        echo other >/etc/ssh/identity-uuid; mount -o remount,bind,ro /etc/ssh; $apply ssh-keys 2>&1; echo "status=$?""#;
    for shell in each_shell() {
        let said = said(&card, shell, &[], SCRIPT);
        let key = |name: &str| format!("ssh_host_{name}_key\nssh_host_{name}_key.pub\n");
        let made = "<6>new SSH host keys are in /etc/ssh\n";
        let expected = format!(
            "{made}identity-uuid\n{}{}{}sshd_config\n600\nkept\n{made}new\nidentity-uuid\n{made}new\n{UUID}\n<3>/etc/ssh cannot be \
             written: this board has the SSH host keys of its image, as every copy has; give sshd HostKey files on a \
             writable file system\nstatus=1\n",
            key("ecdsa"),
            key("ed25519"),
            key("rsa")
        );
        assert_eq!(said, expected, "{shell}");
    }
}
