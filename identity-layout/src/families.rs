// SPDX-License-Identifier: MIT OR Apache-2.0
//! The families of boards, as data: how a card of theirs is known, and what lies where before its first partition.
//!
//! To add a board, add a row here and a card in the package `identity-fixtures`; a test holds the two against each
//! other. Numbers are LBAs of 512-byte sectors, last ones inclusive. Lengths are the longest plausible ones: the true
//! extent of an image comes from its header. Every row names its source; "from memory" is said where it is so.

use super::recognise::{
    Format, allwinner, amlogic, barebox, canaan, grub, ingenic, layerscape, marvell, mediatek, nexell, nxp,
    rockchip, spacemit, ti, uboot_image,
};

/// A family of boards that boot alike.
#[derive(Debug)]
pub struct Family {
    /// Name of the family in messages.
    pub name: &'static str,
    /// Rows with the same group are alternatives: the first whose signs are on the card counts, alone.
    pub group: &'static str,
    /// What shows that a card is the family's: all signs of one line. No line: nothing can.
    pub signs: &'static [&'static [Sign]],
    /// Sectors that are the family's as soon as it is known, even while they are zero.
    pub claims: &'static [Span],
    /// What may lie where. Only names things, and forbids nothing.
    pub places: &'static [Span],
}

/// A format that was seen in a range of sectors.
#[derive(Debug)]
pub struct Sign {
    /// First sector where it may start.
    pub first_lba: u64,
    /// Last sector where it may start.
    pub last_lba: u64,
    /// Format of the loader by which the family is known.
    pub format: &'static Format,
}

/// Sectors, what is there, and who says so.
#[derive(Debug)]
pub struct Span {
    /// LBA of the first sector.
    pub first_lba: u64,
    /// LBA of the last sector, inclusive.
    pub last_lba: u64,
    /// What the family keeps there.
    pub what: &'static str,
    /// Document or source file that says so.
    pub source: &'static str,
}

const fn at(lba: u64, format: &'static Format) -> Sign {
    Sign { first_lba: lba, last_lba: lba, format }
}

const fn within(first_lba: u64, last_lba: u64, format: &'static Format) -> Sign {
    Sign { first_lba, last_lba, format }
}

const fn span(first_lba: u64, last_lba: u64, what: &'static str, source: &'static str) -> Span {
    Span { first_lba, last_lba, what, source }
}

/// What every row starts from.
const NOTHING: Family = Family { name: "", group: "", signs: &[], claims: &[], places: &[] };

// Sources that many rows share. U-Boot is v2026.10-rc2 (6073c36b2c8d).
const SUNXI: &str = "U-Boot doc/board/allwinner/sunxi.rst";
const UBOOT_ENV: &str = "U-Boot configs: ENV_OFFSET";
const UBOOT_RAW: &str = "U-Boot configs: SYS_MMCSD_RAW_MODE_U_BOOT_SECTOR";
const ODROID: &str = "U-Boot include/configs/odroid.h; hardkernel sd_fusing.sh";
const ARMBIAN: &str = "armbian/build (82a0c923f91f) config/sources/families";
const BAREBOX_DTS: &str = "barebox (dd1d839c2c32) arch/arm/dts: environment and state partitions";
const LAYERSCAPE: &str = "armbian/build families/ls1046a.conf; Buildroot ls10* genimage; SolidRun QorIQ wks";
const SPACEMIT: &str = "SpacemiT partition_universal.json; armbian/build families/spacemit.conf";
const K230: &str = "K230 SDK genimage; U-Boot doc/board/canaan/k230_canmv.rst";
const PSB: &str = "U-Boot doc/board/nxp/psb.rst";
const ROCKCHIP: &str = "U-Boot doc/board/rockchip/rockchip.rst, arch/arm/dts/rockchip-u-boot.dtsi";

/// Every family that is recognised.
pub const FAMILIES: &[Family] = &[
    // ── Allwinner ──────────────────────────────────────────────────────────────────────────────────────────────────
    Family {
        name: "Allwinner",
        group: "allwinner-8K",
        signs: &[&[at(16, &allwinner::EGON)], &[at(16, &allwinner::TOC0)]],
        // Armbian's installer zeroes 2..2047 whenever the boot loader is updated.
        claims: &[span(16, 2047, "SPL and U-Boot", SUNXI)],
        places: &[
            span(16, 79, "SPL", SUNXI),
            span(80, 2047, "U-Boot", SUNXI),
            span(1088, 1343, "environment (until 2016)", "U-Boot v2016.07 include/configs/sunxi-common.h"),
            span(1920, 2047, "environment", "U-Boot env/Kconfig: ENV_OFFSET 0xF0000 for ARCH_SUNXI"),
            span(24576, 28671, "vendor boot package", ARMBIAN),
            span(32800, 36895, "vendor boot package, backup", ARMBIAN),
        ],
    },
    Family {
        name: "Allwinner, SPL at 128 KiB",
        group: "allwinner-128K",
        signs: &[&[at(256, &allwinner::EGON)], &[at(256, &allwinner::TOC0)]],
        claims: &[span(256, 2047, "SPL and U-Boot", SUNXI)],
        places: &[span(256, 2047, "SPL and U-Boot", SUNXI)],
    },
    // ── NXP i.MX ───────────────────────────────────────────────────────────────────────────────────────────────────
    Family {
        name: "NXP i.MX5/6/7 with barebox",
        group: "imx",
        signs: &[&[at(2, &nxp::IVT), within(0, 16, &barebox::IMAGE)]],
        claims: &[span(2, 2047, "barebox and its environment", BAREBOX_DTS)],
        places: &[span(2, 1791, "barebox", "barebox Documentation/boards/imx.rst")],
    },
    Family {
        name: "NXP i.MX5/6/7",
        group: "imx",
        signs: &[&[at(2, &nxp::IVT)], &[at(2, &nxp::FLASH_HEADER_V1)]],
        claims: &[span(
            2,
            1535,
            "SPL and U-Boot",
            "U-Boot include/imximage.h: FLASH_OFFSET_STANDARD; ENV_OFFSET 0xC0000",
        )],
        places: &[
            span(1, 1, "secondary image table", PSB),
            span(2, 137, "SPL", "U-Boot include/imximage.h: FLASH_OFFSET_STANDARD 0x400"),
            span(138, 1535, "U-Boot", UBOOT_RAW),
            span(768, 783, "environment", UBOOT_ENV),
            span(1024, 1055, "environment", UBOOT_ENV),
            span(1536, 1551, "environment", UBOOT_ENV),
            span(1792, 1807, "environment", UBOOT_ENV),
            span(1920, 2047, "environment", UBOOT_ENV),
            span(2048, 2303, "environment", UBOOT_ENV),
            span(2050, 4095, "second image", PSB),
        ],
    },
    Family {
        name: "NXP i.MX8M",
        group: "imx8m",
        signs: &[&[within(64, 66, &nxp::IVT)]],
        claims: &[span(
            64,
            4095,
            "flash.bin",
            "U-Boot doc/board/nxp/imx8m*_evk.rst; ENV_OFFSET 0x200000 where it ends",
        )],
        places: &[
            span(34, 65, "environment", "U-Boot configs/imx8mm-cl-iot-gate-optee_defconfig"),
            span(64, 4095, "flash.bin", "U-Boot doc/board/nxp/imx8mp_evk.rst"),
            span(65, 65, "secondary image table", PSB),
            span(66, 4095, "flash.bin", "U-Boot doc/board/nxp/imx8mm_evk.rst"),
            span(258, 289, "environment", "U-Boot configs/imx8mp_evk_defconfig: ENV_OFFSET_REDUND=0x20400"),
            span(768, 4095, "U-Boot", UBOOT_RAW),
            span(4096, 4159, "environment", UBOOT_ENV),
            span(4162, 8191, "second image", PSB),
            span(8192, 8223, "environment", UBOOT_ENV),
        ],
    },
    Family {
        name: "NXP i.MX8/8X/8ULP/9",
        group: "imx9",
        signs: &[&[at(64, &nxp::CONTAINER)]],
        claims: &[span(
            64,
            8191,
            "containers",
            "U-Boot doc/board/nxp/imx93_11x11_evk.rst; second container at 0x1040",
        )],
        places: &[
            span(64, 8191, "containers", "U-Boot include/imx8image.h, doc/board/nxp/imx93_11x11_evk.rst"),
            span(4160, 8191, "second container", UBOOT_RAW),
            span(14336, 14463, "environment", UBOOT_ENV),
        ],
    },
    Family {
        name: "NXP i.MX23/28",
        group: "mxs",
        places: &[
            span(512, 543, "environment", UBOOT_ENV),
            span(2048, 34815, "boot stream, a partition of type 0x53", "U-Boot doc/board/nxp/mx28evk.rst"),
        ],
        ..NOTHING
    },
    // ── NXP Layerscape and QorIQ ───────────────────────────────────────────────────────────────────────────────────
    Family {
        name: "NXP Layerscape",
        group: "layerscape",
        signs: &[&[at(8, &layerscape::PBL)], &[at(8, &layerscape::PBL_CHASSIS_3)]],
        claims: &[
            span(8, 8191, "PBL, firmware image package, environment", LAYERSCAPE),
            span(8192, 65535, "firmware of FMan, MC, DDR PHY and PPA", LAYERSCAPE),
        ],
        places: &[
            span(8, 2047, "RCW and BL2", "U-Boot doc/README.pblimage; Buildroot ls1046a genimage"),
            span(2048, 6143, "firmware image package", LAYERSCAPE),
            span(6144, 6399, "environment", UBOOT_ENV),
            span(10240, 10255, "environment", UBOOT_ENV),
            span(12288, 65535, "firmware", LAYERSCAPE),
        ],
    },
    Family {
        name: "NXP QorIQ T and P3 to P5",
        group: "qoriq-t",
        signs: &[&[at(8, &layerscape::PBL_POWER)]],
        claims: &[span(
            8,
            2591,
            "PBL, environment, FMan and QE firmware",
            "U-Boot doc/README.pblimage; SYS_FMAN_FW_ADDR",
        )],
        places: &[
            span(8, 1096, "RCW and U-Boot", "U-Boot doc/README.pblimage: mmc write 8 441"),
            span(
                2048,
                2591,
                "environment, FMan and QE firmware",
                "U-Boot configs: ENV_OFFSET 0x100000, SYS_FMAN_FW_ADDR",
            ),
        ],
    },
    Family {
        name: "NXP QorIQ P1/P2",
        group: "qoriq-p",
        signs: &[&[within(0, 4095, &layerscape::ESDHC_BOOT)]],
        claims: &[span(
            2,
            17,
            "environment",
            "U-Boot board/nxp/common/sdhc_boot.c: ESDHC_DEFAULT_ENVADDR 0x400",
        )],
        places: &[span(2, 17, "environment", "U-Boot board/nxp/common/sdhc_boot.c")],
    },
    Family {
        name: "NXP S32",
        group: "s32",
        places: &[span(1, 2047, "firmware image package", "ebcl_template uboot-install.sh; not verified")],
        ..NOTHING
    },
    // ── Rockchip ───────────────────────────────────────────────────────────────────────────────────────────────────
    Family {
        name: "Rockchip, U-Boot at 256 KiB (puma, ringneck)",
        group: "rockchip",
        signs: &[&[at(64, &rockchip::IDBLOCK_V1), at(512, &uboot_image::FIT)]],
        claims: &[
            span(
                40,
                63,
                "environment",
                "U-Boot arch/arm/dts/{rk3399-puma,px30-ringneck}-haikou-u-boot.dtsi: u-boot,mmc-env-offset 0x5000",
            ),
            span(64, 4095, "TPL, SPL and U-Boot", "U-Boot configs/puma-rk3399_defconfig: sector 0x200"),
        ],
        places: &[span(40, 63, "environment", "U-Boot arch/arm/dts/rk3399-puma-haikou-u-boot.dtsi")],
    },
    Family {
        name: "Rockchip",
        group: "rockchip",
        signs: &[&[within(64, 5184, &rockchip::IDBLOCK_V1)], &[within(64, 5184, &rockchip::IDBLOCK_V2)]],
        // u-boot-rockchip.bin is one image, padded with 0xFF from the loader to U-Boot at 16384.
        claims: &[span(64, 20479, "TPL, SPL, U-Boot and environment", ROCKCHIP)],
        places: &[
            span(32, 63, "environment", "U-Boot configs/odroid-go2_defconfig: ENV_OFFSET 0x4000"),
            span(64, 8063, "TPL and SPL", ROCKCHIP),
            span(7168, 7679, "vendor storage", rockchip::VENDOR_STORAGE.source),
            span(8128, 8191, "environment", UBOOT_ENV),
            span(16384, 24575, "U-Boot", ROCKCHIP),
            span(24576, 32767, "trust", ROCKCHIP),
        ],
    },
    Family {
        name: "Rockchip vendor storage",
        group: "rockchip-vendor-storage",
        signs: &[&[within(7168, 7552, &rockchip::VENDOR_STORAGE)]],
        claims: &[span(7168, 7679, "vendor storage", rockchip::VENDOR_STORAGE.source)],
        places: &[],
    },
    Family {
        name: "Rockchip RV110x, RK3506",
        group: "rv110x",
        places: &[
            span(0, 63, "environment", "rockchip32-legacy-bin: env.img seek=0"),
            span(64, 1087, "ID block", "rockchip32-legacy-bin: idblock seek=64"),
            span(1088, 1599, "U-Boot", "rockchip32-legacy-bin: uboot seek=1088"),
        ],
        ..NOTHING
    },
    // ── Texas Instruments ──────────────────────────────────────────────────────────────────────────────────────────
    Family {
        name: "TI OMAP/Sitara, raw",
        group: "ti-omap",
        signs: &[&[at(256, &ti::CHSETTINGS)], &[at(512, &ti::CHSETTINGS)], &[at(768, &ti::CHSETTINGS)]],
        claims: &[span(
            256,
            3839,
            "MLO and u-boot.img",
            "omap-image-builder tools/hwpack/beaglebone.conf: 128 KiB, and 384 KiB times four",
        )],
        places: &[
            span(56, 79, "environment", "U-Boot configs/am335x_shc*_defconfig"),
            span(256, 767, "MLO", "TI SPRUI30H; omap-image-builder tools/hwpack/beaglebone.conf"),
            span(768, 3839, "u-boot.img", UBOOT_RAW),
            span(4864, 5375, "environment", UBOOT_ENV),
            span(
                5376,
                22271,
                "falcon mode: arguments and kernel",
                "U-Boot SYS_MMCSD_RAW_MODE_{ARGS,KERNEL}_SECTOR",
            ),
        ],
    },
    Family {
        name: "TI K3, raw",
        group: "ti-k3",
        signs: &[&[at(0, &ti::K3)], &[at(8192, &ti::K3)]],
        claims: &[span(
            1,
            9215,
            "tiboot3, tispl and U-Boot",
            "U-Boot arch/arm/mach-k3: sectors 0x400 and 0x1400; TI SPRUJB3",
        )],
        places: &[
            span(0, 1023, "tiboot3", "TI SPRUJB3"),
            span(1024, 5119, "tispl", UBOOT_RAW),
            span(5120, 9215, "U-Boot", UBOOT_RAW),
            span(13312, 14079, "environment", UBOOT_ENV),
        ],
    },
    Family {
        name: "TI DaVinci",
        group: "ti-davinci",
        signs: &[&[within(1, 24, &ti::UBL)]],
        claims: &[span(
            1,
            1200,
            "UBL descriptors and U-Boot",
            "U-Boot tools/ublimage.h; sector 0x75 or 0xb5",
        )],
        places: &[
            span(1, 24, "UBL descriptors", "U-Boot tools/ublimage.h"),
            span(117, 1200, "U-Boot", UBOOT_RAW),
        ],
    },
    // ── others, by maker ───────────────────────────────────────────────────────────────────────────────────────────
    Family {
        name: "Amlogic",
        group: "amlogic",
        signs: &[&[within(0, 1, &amlogic::AML)]],
        claims: &[span(1, 4095, "BL2 and FIP", "U-Boot doc/board/amlogic; tools/amlimage.c")],
        places: &[span(1, 4095, "BL2 and FIP", "U-Boot doc/board/amlogic")],
    },
    Family {
        name: "Amlogic Meson8b (Odroid C1)",
        group: "meson8b",
        places: &[span(1, 1055, "BL1, U-Boot and environment", "armbian/build boards/odroidc1.conf")],
        ..NOTHING
    },
    Family {
        name: "Marvell Armada 38x",
        group: "armada-38x",
        signs: &[&[within(0, 1, &marvell::KWB)]],
        claims: &[span(
            1,
            2047,
            "SPL, U-Boot and environment",
            "U-Boot cmd/mvebu/bubt.c: from LBA 1; ENV_OFFSET 0xF0000",
        )],
        places: &[
            span(1, 2047, "SPL and U-Boot", "U-Boot cmd/mvebu/bubt.c"),
            span(1920, 2047, "environment", UBOOT_ENV),
        ],
    },
    Family {
        name: "Marvell Armada 7K/8K",
        group: "armada-8k",
        signs: &[&[within(0, 1, &marvell::ARMADA_8K)], &[at(4096, &marvell::ARMADA_8K)]],
        claims: &[span(
            1,
            8191,
            "flash image, twice, and environment",
            "U-Boot cmd/mvebu/bubt.c; armbian/build families/mvebu64.conf",
        )],
        places: &[
            span(1, 4095, "flash image", "armbian/build families/mvebu64.conf"),
            span(3072, 3199, "environment", UBOOT_ENV),
            span(4096, 8191, "flash image", "U-Boot cmd/mvebu/bubt.c; Buildroot macchiatobin"),
            span(8064, 8191, "environment", UBOOT_ENV),
        ],
    },
    Family {
        name: "Samsung Exynos 4",
        group: "exynos4",
        places: &[
            span(1, 30, "BL1", ODROID),
            span(31, 62, "BL2", ODROID),
            span(33, 64, "environment (Origen)", UBOOT_ENV),
            span(63, 2110, "U-Boot", ODROID),
            span(2111, 2559, "TrustZone software", ODROID),
            span(2560, 2591, "environment", ODROID),
        ],
        ..NOTHING
    },
    Family {
        name: "Samsung Exynos 5",
        group: "exynos5",
        places: &[
            span(1, 1262, "boot loaders", "hardkernel u-boot sd_fuse: 1, 31, 63, 719, 1231"),
            span(
                1,
                2046,
                "boot loaders",
                "armbian/build families/odroidxu4.conf: 1, 31, 63, 1503, environment 2015",
            ),
            span(1073, 1104, "environment (Arndale)", UBOOT_ENV),
            span(6272, 6303, "environment (XU3)", UBOOT_ENV),
        ],
        ..NOTHING
    },
    Family {
        name: "Samsung S5P",
        group: "s5p",
        places: &[span(56, 63, "environment", UBOOT_ENV)],
        ..NOTHING
    },
    Family {
        name: "Nexell",
        group: "nexell",
        signs: &[&[at(1, &nexell::NSIH)]],
        claims: &[span(
            1,
            5920,
            "boot loaders and environment",
            "U-Boot doc/README.s5p4418: seek=3841; ENV_OFFSET 0x2E0200",
        )],
        places: &[
            span(1, 5920, "boot loaders", "U-Boot arch/arm/mach-nexell; doc/README.s5p4418"),
            span(5889, 5920, "environment", UBOOT_ENV),
        ],
    },
    Family {
        name: "Intel SoCFPGA",
        group: "socfpga",
        places: &[
            span(34, 49, "environment", UBOOT_ENV),
            span(512, 2047, "U-Boot", UBOOT_RAW),
            span(
                2048,
                4095,
                "SPL, a partition of type 0xA2",
                "Intel HPS TRM A.4.4.1; U-Boot tools/socfpgaimage.c",
            ),
        ],
        ..NOTHING
    },
    Family {
        name: "Intel SoCFPGA Stratix 10, N5X",
        group: "socfpga-s10",
        places: &[span(1, 8, "environment", "U-Boot configs: ENV_OFFSET 0x200")],
        ..NOTHING
    },
    Family {
        name: "Xilinx Zynq",
        group: "zynq",
        places: &[span(768, 3839, "U-Boot, unless it is in a file", UBOOT_RAW)],
        ..NOTHING
    },
    Family {
        name: "ST STM32MP",
        group: "stm32mp",
        places: &[
            span(34, 545, "first stage, a partition", "U-Boot doc/board/st/stm32mp1.rst"),
            span(546, 1057, "first stage, a partition", "U-Boot doc/board/st/stm32mp1.rst"),
            span(1058, 9249, "second stage, a partition", "U-Boot doc/board/st/stm32mp1.rst"),
            span(5120, 5647, "environment", UBOOT_ENV),
        ],
        ..NOTHING
    },
    Family {
        name: "MediaTek MT7623",
        group: "mt7623",
        signs: &[&[at(1, &mediatek::BRLYT)]],
        claims: &[span(
            1,
            2055,
            "preloader, U-Boot and environment",
            "U-Boot doc/README.mediatek; ENV_OFFSET 0x100000",
        )],
        places: &[
            span(1, 3, "boot ROM layout", "U-Boot tools/mtk_image.h"),
            span(4, 639, "preloader", "U-Boot tools/mtk_image.h"),
            span(640, 2047, "U-Boot", "U-Boot doc/README.mediatek: 0x50000"),
            span(2048, 2055, "environment", UBOOT_ENV),
        ],
    },
    Family {
        name: "MediaTek MT79xx",
        group: "mt79xx",
        places: &[
            span(34, 8191, "BL2, a partition", "armbian/build families/filogic.conf"),
            span(6144, 7167, "environment", UBOOT_ENV),
        ],
        ..NOTHING
    },
    Family {
        name: "SpacemiT",
        group: "spacemit",
        signs: &[&[at(0, &spacemit::BOOTINFO)]],
        claims: &[span(1280, 1407, "environment (K3)", "SpacemiT k3 partition_universal.json: 640K")],
        places: &[
            span(256, 1023, "FSBL", SPACEMIT),
            span(2048, 4095, "bootinfo and FSBL (K3)", "SpacemiT k3 partition_universal.json"),
        ],
    },
    Family {
        name: "SpacemiT, FSBL at LBA 1",
        group: "spacemit-msdos",
        signs: &[&[at(1, &spacemit::FSBL)]],
        claims: &[span(
            1,
            6143,
            "FSBL, OpenSBI and U-Boot",
            "armbian/build families/spacemit.conf: 1, 1280, 2048",
        )],
        places: &[span(1, 6143, "FSBL, OpenSBI and U-Boot", "armbian/build families/spacemit.conf")],
    },
    Family {
        name: "StarFive JH7110",
        group: "jh7110",
        places: &[span(4096, 8191, "SPL, a partition", "U-Boot doc/board/starfive/jh7110_common.rst")],
        ..NOTHING
    },
    Family {
        name: "SiFive",
        group: "sifive",
        places: &[
            span(34, 2081, "SPL, a partition", "U-Boot doc/board/sifive/unmatched.rst"),
            span(2082, 10273, "U-Boot, a partition", "U-Boot doc/board/sifive/unmatched.rst"),
        ],
        ..NOTHING
    },
    Family {
        name: "Canaan K230",
        group: "k230",
        signs: &[&[at(2048, &canaan::K230)]],
        claims: &[span(2048, 61439, "SPL, environment, U-Boot and RT-Smart", K230)],
        places: &[
            span(2048, 3839, "SPL", K230),
            span(3840, 3967, "environment", K230),
            span(4096, 61439, "U-Boot and RT-Smart", K230),
        ],
    },
    Family {
        name: "Ingenic (Creator CI20)",
        group: "ci20",
        signs: &[&[at(1, &ingenic::SPL)]],
        claims: &[span(
            1,
            1115,
            "SPL, U-Boot and environment",
            "board/imgtec/ci20/README; ENV_OFFSET 0x83800",
        )],
        places: &[
            span(1, 27, "SPL", "board/imgtec/ci20/README"),
            span(28, 1115, "U-Boot and environment", "U-Boot configs/ci20_mmc_defconfig: sector 0x1c"),
        ],
    },
    Family {
        name: "Microchip AT91",
        group: "at91",
        places: &[span(
            16,
            23,
            "environment",
            "U-Boot configs/at91sam9g20ek_2mmc_defconfig: ENV_OFFSET 0x2000",
        )],
        ..NOTHING
    },
    Family {
        name: "Microchip PolarFire",
        group: "polarfire",
        places: &[span(34, 8191, "HSS payload, a partition", "U-Boot doc/board/microchip/mpfs_common.rst")],
        ..NOTHING
    },
    Family {
        name: "Actions Owl",
        group: "owl",
        places: &[span(6144, 8191, "U-Boot", "U-Boot doc/board/actions/cubieboard7.rst: 3072 KiB")],
        ..NOTHING
    },
    Family {
        name: "Nuvoton MA35D1",
        group: "ma35d1",
        places: &[
            span(2, 3, "headers", "armbian/build families/nuvoton-ma35d1.conf"),
            span(256, 4095, "BL2 and firmware image package", "armbian/build families/nuvoton-ma35d1.conf"),
        ],
        ..NOTHING
    },
    Family {
        name: "Phytium",
        group: "phytium",
        places: &[span(
            1,
            3071,
            "firmware image package and environment",
            "armbian/build families/phytium-embedded.conf",
        )],
        ..NOTHING
    },
    Family {
        name: "HiSilicon Poplar",
        group: "poplar",
        places: &[
            span(1, 1919, "l-loader", "U-Boot doc/board/hisilicon/poplar.rst: mmc write 0 0x780"),
            span(3968, 4095, "environment", "U-Boot configs/poplar_defconfig: ENV_OFFSET 0x1F0000"),
        ],
        ..NOTHING
    },
    Family {
        name: "Renesas RZ/G2L",
        group: "rzg2l",
        places: &[span(
            1,
            2047,
            "boot parameters, BL2 and firmware image package",
            "SoMLabs rzx2l-loader README; not verified",
        )],
        ..NOTHING
    },
    // The boot ROM and the EEPROM read an MBR or a GPT, and FAT.
    Family { name: "Raspberry Pi", group: "raspberrypi", ..NOTHING },
    Family {
        name: "ST-Ericsson Snowball",
        group: "snowball",
        places: &[span(256, 2303, "loaders", "linaro-image-tools boards.py: SNOWBALL_LOADER_START_S")],
        ..NOTHING
    },
    // ── not bound to a maker ───────────────────────────────────────────────────────────────────────────────────────
    Family {
        name: "barebox, environment at 768 KiB",
        group: "barebox-768K",
        signs: &[&[at(1536, &barebox::ENV)], &[at(1536, &barebox::STATE)]],
        claims: &[span(1536, 2047, "environment and state", BAREBOX_DTS)],
        places: &[],
    },
    Family {
        name: "barebox, environment at 896 KiB",
        group: "barebox-896K",
        signs: &[&[at(1792, &barebox::ENV)]],
        claims: &[span(1792, 2047, "environment", BAREBOX_DTS)],
        places: &[],
    },
    Family {
        name: "barebox, state at 960 KiB",
        group: "barebox-960K",
        signs: &[&[at(1920, &barebox::STATE)]],
        claims: &[span(1920, 2047, "state", BAREBOX_DTS)],
        places: &[],
    },
    Family {
        name: "barebox, environment at 1 MiB",
        group: "barebox-1M",
        signs: &[&[at(2048, &barebox::ENV)]],
        claims: &[span(2048, 4095, "environment", BAREBOX_DTS)],
        places: &[],
    },
    Family {
        name: "barebox, state at 2 MiB",
        group: "barebox-2M",
        signs: &[&[at(4096, &barebox::STATE)]],
        claims: &[span(4096, 4607, "state", BAREBOX_DTS)],
        places: &[],
    },
    Family {
        name: "barebox, environment at 4.03 MiB",
        group: "barebox-rk356x",
        signs: &[&[at(8256, &barebox::ENV)]],
        claims: &[span(8256, 8319, "environment", BAREBOX_DTS)],
        places: &[],
    },
    Family {
        name: "GRUB for BIOS",
        group: "grub",
        signs: &[&[within(1, 62, &grub::CORE)]],
        claims: &[span(1, 888, "core.img", "GRUB util/setup.c: (0x78000 - 0x9000) / 512 sectors at most")],
        places: &[span(1, 888, "core.img", "GRUB util/setup.c")],
    },
    Family {
        name: "ONIE",
        group: "onie",
        places: &[span(2044, 2047, "TlvInfo", "ONIE TlvInfo on the disk; U-Boot include/tlv_eeprom.h")],
        ..NOTHING
    },
    Family {
        name: "Linaro",
        group: "linaro",
        places: &[span(
            1,
            8191,
            "loaders, a partition of type 0xDA",
            "linaro-image-tools boards.py: i.MX5, Samsung",
        )],
        ..NOTHING
    },
    Family {
        name: "Nerves",
        group: "nerves",
        places: &[
            span(16, 31, "environment", "nerves_system_rpi4 fwup_include/fwup-common.conf"),
            span(2048, 2303, "environment", "nerves_system_bbb"),
        ],
        ..NOTHING
    },
    Family {
        name: "Mender",
        group: "mender",
        places: &[span(16384, 32767, "environment", "meta-mender mender-setup-uboot.inc; 8 MiB from memory")],
        ..NOTHING
    },
    Family {
        name: "ChromeOS",
        group: "chromeos",
        places: &[span(64, 16447, "RWFW, a partition", "crosutils legacy_disk_layout.json")],
        ..NOTHING
    },
];

/// Sectors in which some boot ROM or loader looks for its image, whatever is on the card.
/// Source: the same as of the places above, and TI SPRUI30H for 256, 512 and 768.
const PARSED: [(u64, &str); 14] = [
    (0, "every boot ROM"),
    (1, "the boot ROM of Amlogic, Marvell and Samsung"),
    (2, "the boot ROM of i.MX5/6/7"),
    (8, "the boot ROM of Layerscape"),
    (16, "the boot ROM of Allwinner"),
    (65, "the boot ROM of i.MX8M"),
    (66, "the boot ROM of i.MX8M"),
    (256, "the boot ROM of AM335x and Allwinner"),
    (512, "the boot ROM of AM335x"),
    (768, "the boot ROM of AM335x"),
    (4096, "the boot ROM of Armada 8K"),
    (4160, "the SPL of i.MX8"),
    (4162, "the boot ROM of i.MX8M"),
    (8192, "the boot ROM of K3"),
];

/// Who parses a sector, if anyone does.
pub fn parsed_by(lba: u64) -> Option<&'static str> {
    let fixed = PARSED.iter().find(|(parsed, _)| *parsed == lba).map(|(_, by)| *by);
    // It tries one place after the other.
    let rockchip = lba.checked_sub(64).is_some_and(|distance| distance % 1024 == 0);
    fixed.or(rockchip.then_some("the boot ROM of Rockchip"))
}

/// The families whose signs were seen, one of each group.
pub fn recognised(sightings: &[super::recognise::Sighting]) -> Vec<&'static Family> {
    let seen = |sign: &Sign| {
        sightings.iter().any(|sighting| {
            (sign.first_lba..=sign.last_lba).contains(&sighting.lba) && sighting.format == sign.format
        })
    };
    let mut found: Vec<&Family> = Vec::new();
    for family in FAMILIES {
        let fits = family.signs.iter().any(|signs| signs.iter().all(seen));
        if fits && !found.iter().any(|other| other.group == family.group) {
            found.push(family);
        }
    }
    found
}

/// Most names that a hint has.
const HINTS_MAX: usize = 3;

/// Who has something that starts in a sector, for a run of data that nothing recognised.
pub fn hint(lba: u64) -> String {
    let mut names: Vec<String> = Vec::new();
    for family in FAMILIES {
        if let Some(place) = family.places.iter().find(|place| place.first_lba == lba) {
            names.push(format!("{} ({})", family.name, place.what));
        }
    }
    let more = if names.len() > HINTS_MAX { " …" } else { "" };
    names.truncate(HINTS_MAX);
    if names.is_empty() { String::new() } else { format!("could be {}{more}", names.join(", ")) }
}
