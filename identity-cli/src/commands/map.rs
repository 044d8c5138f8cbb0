// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity map`.

use identity_host::by_identity;
use identity_host::device::{Access, Card};
use identity_host::surroundings::Surroundings;
use identity_host::whole_card::WholeCard;
use identity_ui::output::{json, print, say};
use identity_ui::{Exit, Result, shell, wording};

use super::{warn_in_partition, warn_unfinished};
use crate::args::{MapArgs, MapFormat};
use crate::render::model::map::Chart;
use crate::render::{map_svg, map_text};

pub fn run(args: &MapArgs) -> Result<Exit> {
    let target = by_identity::open(&args.target, Access::Read)?;
    let card = WholeCard::read(&target, &args.target, args.at, Surroundings::of_target(&target))?;
    let first = &card.first_sectors;
    let mut chart = Chart::new(&args.target, target.sectors(), first.map(), &first.verdicts(), &card.scan);
    chart.in_partition = card.copies_in_partition();
    chart.elsewhere = card.copy_elsewhere();
    print(&match args.format {
        MapFormat::Text => map_text::map(&chart),
        MapFormat::Json => json(&chart),
        MapFormat::Svg => map_svg::map(&chart),
    })?;
    if let Some((file, offset)) = target.info().and_then(|info| info.part_of.as_ref()) {
        say(&wording::part(&args.target, file, *offset));
    }
    if target.sectors() == 0 {
        say(&format!(
            "{}: shorter than one sector; give the whole card or its whole image",
            shell::path(&args.target)
        ));
    }
    if let Some(lba) = chart.elsewhere {
        say(&wording::copy_elsewhere(&card.scan, &args.target, lba));
    }
    warn_in_partition(&card.scan, &chart.in_partition, &args.target);
    warn_unfinished(card.mark().as_ref(), &args.target);
    Ok(Exit::Done)
}
