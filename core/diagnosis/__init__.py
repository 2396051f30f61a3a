"""What `directlane doctor` looks at: the rules are in `*_rules`, the looking in `look_*`, the order in `doctor`."""
