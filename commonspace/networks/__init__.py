"""The networks: backbones turn raw input into features, branches share their last layers."""
