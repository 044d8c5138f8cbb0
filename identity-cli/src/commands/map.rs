// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity map`.

use super::write::read_ground;
use crate::args::{MapArgs, MapFormat};
use crate::chart::Chart;
use crate::device::{Access, Card, Target};
use crate::error::{Exit, Result};
use crate::render::{self, map_svg, map_text};
use crate::survey::Survey;

pub fn run(args: &MapArgs) -> Result<Exit> {
    let target = Target::open(&args.target, Access::Read)?;
    let ground = read_ground(&target, &args.target)?;
    let survey = Survey::of(&target, None);
    let name = args.target.display().to_string();
    let chart = Chart::of(name, target.sectors(), ground.map(), &ground.places(), &survey);
    render::print(&match args.format {
        MapFormat::Text => map_text::map(&chart),
        MapFormat::Json => render::json(&chart),
        MapFormat::Svg => map_svg::map(&chart),
    })?;
    Ok(Exit::Done)
}
