//go:build fc && lambda

package app

// This does not compile, and says why.
const _ = the_build_tags_fc_and_lambda_are_two_targets_and_a_binary_has_one
