// SPDX-License-Identifier: MIT OR Apache-2.0
//! `label`: what is printed is read by a program that reads QR codes, from the picture that a printer would make.

use std::collections::BTreeSet;
use std::path::Path;

use identity_tests::cli::tool;
use identity_tests::run_where_installed;

use crate::exports::{lab_tools, python};
use crate::{Lab, OTHER, UUID};

/// Two boards, one with a long name.
fn lab() -> Lab {
    let lab = Lab::new();
    lab.write(
        "boards.csv",
        format!(
            "hostname,profile,uuid,mac0\npanda-01,panda,{UUID},\nthe-board-behind-the-door.lab.example,panda,{OTHER},\n"
        ),
    );
    lab
}

/// The texts of all QR codes in a picture, sorted.
pub fn codes(picture: &Path) -> Option<Vec<String>> {
    let printed = run_where_installed(
        tool("zbarimg").args(["--nodbus", "-q", "--raw", "-Sdisable", "-Sqrcode.enable"]).arg(picture),
    )?;
    let mut codes: Vec<_> = printed.lines().map(str::to_owned).collect();
    codes.sort();
    Some(codes)
}

pub fn urn(uuid: &str) -> String {
    format!("URN:UUID:{}", uuid.to_uppercase())
}

/// 9.3 mm are the least that 203 dots an inch allow; a tape is 12 mm wide.
#[test]
fn a_label_is_read_from_the_picture_at_203_dots_an_inch() {
    let lab = lab();
    for size in ["50x25", "50x12", "63.5x38.1", "40x9.4"] {
        lab.run(&["label", "panda-01", "--size", size, "--dpi", "203", "-o", "label.svg"]).exits(0);
        let mut svg = tool("rsvg-convert");
        svg.args(["-d", "203", "-p", "203"]).arg(lab.path("label.svg")).arg("-o").arg(lab.path("svg.png"));
        if run_where_installed(&mut svg).is_none() {
            return;
        }
        let Some(read) = codes(&lab.path("svg.png")) else { return };
        assert_eq!(read, [urn(UUID)], "{size}, SVG");
        lab.run(&["label", "panda-01", "--size", size, "--dpi", "203", "-o", "label.pdf"]).exits(0);
        let mut pdf = tool("pdftoppm");
        pdf.args(["-r", "203", "-png", "-singlefile"]).arg(lab.path("label.pdf")).arg(lab.path("pdf"));
        if run_where_installed(&mut pdf).is_none() {
            return;
        }
        assert_eq!(codes(&lab.path("pdf.png")), Some(vec![urn(UUID)]), "{size}, PDF");
    }
}

#[test]
fn a_label_says_in_clear_who_it_is() {
    let lab = lab();
    let mac = lab.run(&["list", "--format", "json"]).exits(0).json()[0]["macs"][0].clone();
    let mac = mac.as_str().expect("text");
    lab.run(&["label", "panda-01"]).exits(0).shows(&["<svg", ">panda-01</text>", &format!(">{mac}</text>")]);
    lab.run(&["label", "panda-01", "-o", "label.pdf"]).exits(0);
    let Some(text) = run_where_installed(tool("pdftotext").arg(lab.path("label.pdf")).arg("-")) else {
        return;
    };
    let words: Vec<_> = text.split_whitespace().collect();
    assert_eq!(words, ["panda-01", mac, "panda"]);
}

#[test]
fn a_sheet_has_every_board_once_and_goes_on_on_the_next_page() {
    let lab = Lab::new();
    lab.run(&["add", "panda-[01-25]", "--profile", "panda"]).exits(0);
    lab.run(&["label", "panda-[01-25]", "panda-03", "--sheet", "l7160", "-o", "sheet.pdf"]).exits(0);
    // Of so many codes in one picture zbarimg misses some, others at another resolution.
    let mut found = [BTreeSet::new(), BTreeSet::new()];
    for resolution in ["200", "250", "300", "400"] {
        let mut pdf = tool("pdftoppm");
        pdf.args(["-r", resolution, "-gray", "-png"]).arg(lab.path("sheet.pdf")).arg(lab.path("page"));
        if run_where_installed(&mut pdf).is_none() {
            return;
        }
        for (found, page) in found.iter_mut().zip(["page-1.png", "page-2.png"]) {
            let Some(read) = codes(&lab.path(page)) else { return };
            found.extend(read);
        }
    }
    assert_eq!(found.each_ref().map(BTreeSet::len), [21, 4]);
    let list = lab.run(&["list", "--format", "json"]).exits(0).json();
    let uuids: BTreeSet<_> =
        list.as_array().expect("a list").iter().map(|row| urn(row["uuid"].as_str().expect("text"))).collect();
    assert_eq!(found.into_iter().flatten().collect::<BTreeSet<_>>(), uuids);
    assert!(!lab.path("page-3.png").exists());
}

/// The picture in a label is drawn by another program, which knows ZPL's.
#[test]
fn a_label_printer_gets_a_picture_that_is_read() {
    let Some(tools) = lab_tools() else { return };
    let lab = lab();
    for (size, dpi) in [("50x12", "203"), ("50x25", "203"), ("50x12", "300")] {
        lab.run(&["label", "panda-01", "--size", size, "--dpi", dpi, "-o", "label.zpl"]).exits(0);
        let draw = "
import json, sys
from PIL import Image, ImageOps
from zebrafy import ZebrafyZPL
image = ZebrafyZPL(open(sys.argv[1] + '/label.zpl').read()).to_images()[0]
ImageOps.expand(image.convert('L'), 16, 255).save(sys.argv[1] + '/zpl.png')
print(json.dumps(image.size))";
        let Some(drawn) = python(&tools.join("labgrid/bin/python"), draw, &lab) else { return };
        let side = drawn[1].as_u64().expect("a height");
        assert!(side % 29 == 0 && side >= 58, "29 modules of at least two dots: {drawn}");
        let Some(read) = codes(&lab.path("zpl.png")) else { return };
        assert_eq!(read, [urn(UUID)], "{size} at {dpi}");
    }
    // A command or an escape in a text would be one.
    let label = lab.read("label.zpl");
    assert!(label.starts_with("^XA^PW") && label.contains("^FH^FDpanda-01^FS\n") && label.ends_with("^XZ\n"));
}

#[test]
fn what_has_no_room_is_refused_with_what_it_needs() {
    let lab = lab();
    let fails = |words: &[&str], says: &[&str]| {
        lab.run(&[&["label"], words].concat()).exits(2).says(says);
    };
    fails(&["panda-01", "--size", "9x9", "--dpi", "203"], &["panda-01", "9.3 mm", "9 x 9 mm"]);
    let long = "the-board-behind-the-door.lab.example";
    fails(&[long, "--size", "20x12", "--dpi", "203"], &[long, "too small to read"]);
    fails(&["nobody"], &["nobody", "identity-lab list"]);
    fails(&["panda-01", "--sheet", "none"], &["3666", "l7160"]);
    fails(&["panda-01", "--size", "big"], &["50x25"]);
    fails(&["panda-01", "--format", "pdf"], &["--output"]);
    lab.run(&["add", "panda-02", "--profile", "panda"]).exits(0);
    fails(&["panda-[01-02]"], &["--format pdf"]);
    fails(&["panda-01", "-o", "label.doc"], &["--format"]);
}
