//! Compiles `proto/` into Rust with protox: nothing but the Rust toolchain is needed.

use std::path::PathBuf;

/// Fields of a scorecard that lie apart from it: inline they make it six kilobytes, and it is moved a dozen times on
/// its way through the stack.
const BOXED: [&str; 8] = [
    "average_deal_size",
    "deal_count",
    "opportunity_pipeline",
    "marketing_channel",
    "close_rate",
    "deal_velocity",
    "value_score",
    "deal_success",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    list_languages()?;
    println!("cargo::rerun-if-changed=proto");
    let mut files: Vec<PathBuf> = std::fs::read_dir("proto/channelkpi/v1")?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "proto"));
    files.sort();

    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(true).open_files(&files)?;
    // Reflection and proto3 JSON read the same descriptors that the code was made from. The compiler
    // encodes them itself: prost's own types would drop the options that extend Google's, such as
    // google.api.field_behavior.
    let out_dir = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it for build scripts"));
    std::fs::write(out_dir.join("channelkpi.binpb"), compiler.encode_file_descriptor_set())?;
    let descriptors = compiler.file_descriptor_set();
    let mut builder = tonic_prost_build::configure().btree_map(".");
    for kpi in BOXED {
        builder = builder.boxed(format!(".channelkpi.v1.Scorecard.{kpi}"));
    }
    builder.compile_fds(descriptors)?;
    Ok(())
}

/// Lists the files of texts: a language is a file, named by its tag.
fn list_languages() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=src/text");
    let folder = std::env::current_dir()?.join("src/text");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    files.sort();
    let mut listed =
        String::from("/// Of each language its tag and its texts.\nconst SOURCES: &[(&str, &str)] = &[\n");
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "ftl")) {
        let tag =
            file.file_stem().and_then(|tag| tag.to_str()).ok_or("a language's file is named by its tag")?;
        listed += &format!("    ({tag:?}, include_str!({:?})),\n", file);
    }
    listed += "];\n";
    let out_dir = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it for build scripts"));
    std::fs::write(out_dir.join("languages.rs"), listed)?;
    Ok(())
}
