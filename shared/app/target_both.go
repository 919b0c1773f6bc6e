//go:build fc && lambda

package app

// A program has one target: this does not compile, and says why.
const _ = the_build_tags_fc_and_lambda_are_two_targets_and_a_program_has_one
