"""The networks: trunks turn raw input into features, branches share their last layers."""
