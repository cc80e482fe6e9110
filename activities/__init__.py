"""The hands: one side effect each, run by Temporal. No policy, no loops over steps."""
