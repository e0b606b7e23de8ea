"""Parts of policy trunks, and the published ones composed of them."""
