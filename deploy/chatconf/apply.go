package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"chatconf/shared/command"
	"chatconf/shared/invoke"
)

// applyFlags are the flags of apply. Those of diff are among them.
type applyFlags struct{ dryRun, prune, yes, exitCode, wait bool }

func newApply() *cobra.Command {
	var flags applyFlags
	cmd := newVerb(&cobra.Command{
		Use:   "apply DIR",
		Short: "Change the bots of a region to match the files of a folder",
		Long: `Change the configurations of a region to match the YAML files of a folder, as 'chatconf export'
writes them. A key that a file leaves out has no value in the service: no RamRole, no group, no
tags. The Status is Active by default.

The command first shows a plan, with every change by its path, and asks. Before that, the service
checks each change and each deletion: if one is not valid or not allowed, nothing is changed. A
secret is shown as a digest. Then several bots are changed at the same time, each by one request. If
one fails, the others are still changed. If another caller has changed a bot since the plan, that
bot is not changed and fails.

With --wait, the command then waits until each created or changed bot passes CheckChatConfiguration,
at most two minutes. A bot that does not pass by then has failed.

With --prune, bots of the region without a file are deleted. The plan names each of them. If no bot
there has a file, the folder or the region is probably wrong, and nothing is changed. Folders in the
folder are not read.

A secret in a file is ${env:NAME}, ${file:PATH} from the folder of the file, or ${command:…}, which
a shell runs. So apply only files that you trust. ****** keeps the stored secret.

A service that is not chatconf, such as OOS itself, cannot check a change. The tool then compares
the bots, sends the secrets every time, and changes tags by requests of their own.

Exit codes: 0 success; 1 a request failed, or an error occurred; 2 the command line is invalid;
with --exit-code, 3 there are changes, planned or made.`,
		Example: `  chatconf apply bots
  chatconf apply bots --dry-run --exit-code
  chatconf apply bots --prune --yes`,
		Args: exactly(1),
	}, func(ctx context.Context, v *verb, args []string) error { return v.apply(ctx, args[0], flags) })
	cmd.ValidArgsFunction = completeDir
	cmd.Flags().BoolVar(&flags.dryRun, "dry-run", false, "show the plan, and change nothing")
	cmd.Flags().BoolVar(&flags.prune, "prune", false, "delete bots of the region that have no file")
	cmd.Flags().BoolVar(&flags.wait, "wait", false, "wait until the changed bots pass their check")
	cmd.Flags().BoolVarP(&flags.yes, "yes", "y", false, "do not ask")
	exitCodeFlag(cmd, &flags)
	return cmd
}

func exitCodeFlag(cmd *cobra.Command, flags *applyFlags) {
	cmd.Flags().BoolVar(&flags.exitCode, "exit-code", false, "exit with 3 if there are changes")
}

// errChanges is no mistake: there are changes, and the caller has asked to be told.
var errChanges = errors.New("there are changes")

// isDir reports whether an argument is a folder.
func isDir(arg string) bool {
	info, err := os.Stat(arg)
	return err == nil && info.IsDir()
}

// diffDir shows what apply would do.
func (v *verb) diffDir(ctx context.Context, dir string, flags applyFlags) error {
	p := &planner{verb: v, reads: true}
	plans, err := p.plan(ctx, dir)
	if err != nil {
		return err
	}
	return v.showPlans(plans, flags)
}

// showPlans prints plans that are not applied.
func (v *verb) showPlans(plans []botPlan, flags applyFlags) error {
	if err := v.print(plans, func() error { return v.printPlans(plans) }); err != nil {
		return err
	}
	return flags.ended(plans)
}

// ended returns errChanges if there are changes and the caller wants to know.
func (f applyFlags) ended(plans []botPlan) error {
	if f.exitCode && summaryOf(plans).changes() {
		return errChanges
	}
	return nil
}

// apply changes the service to match the files of a folder.
func (v *verb) apply(ctx context.Context, dir string, flags applyFlags) error {
	p := &planner{verb: v, prune: flags.prune}
	plans, err := p.plan(ctx, dir)
	if err != nil {
		return fmt.Errorf("nothing was changed:\n%w", err)
	}
	s := summaryOf(plans)
	if flags.dryRun || !s.changes() {
		return v.showPlans(plans, flags)
	}
	if !isData(v.output) {
		if err := v.printPlans(plans); err != nil {
			return err
		}
	}
	question := "Apply this plan to " + v.client.endpoint
	if v.region != "" {
		question += " in " + v.region
	}
	if err := v.confirm(ctx, question+"?", flags.yes); err != nil {
		return err
	}
	var work []*botPlan
	for i := range plans {
		if plans[i].Action != planUnchanged {
			work = append(work, &plans[i])
		}
	}
	errs := make([]error, len(work))
	v.each(len(work), "Apply", func(i int) { errs[i] = v.carryOut(ctx, work[i]) })
	if flags.wait {
		v.await(ctx, work, errs)
	}
	for i, err := range errs {
		if err != nil {
			work[i].Error = err.Error()
		}
	}
	if err := v.print(plans, func() error { return v.printApplied(work, errs) }); err != nil {
		return err
	}
	if err := failures(work, errs); err != nil {
		return err
	}
	return flags.ended(plans)
}

// carryOut sends the requests of a plan. After Ctrl-C it does not begin, and ends what it began:
// so the outcome is known.
func (v *verb) carryOut(ctx context.Context, p *botPlan) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("it was not begun: %w", err)
	}
	ctx = context.WithoutCancel(ctx)
	for _, r := range p.requests {
		params := maps.Clone(r.params)
		if _, isTag := params["ResourceIds"]; !isTag {
			params["ClientToken"] = invoke.NewRequestID()
		}
		if err := v.send(ctx, r.action, params, nil); err != nil {
			return err
		}
	}
	return nil
}

// How often a bot is checked that should work soon.
const (
	checkPause = 5 * time.Second
	maxChecks  = 24
)

// await checks the bots that were created or changed until all pass. One that does not in time gets
// an error.
func (v *verb) await(ctx context.Context, work []*botPlan, errs []error) {
	var open []int
	for i, p := range work {
		if errs[i] == nil && p.Action != planDelete {
			open = append(open, i)
		}
	}
	found := make([]examined, len(work))
	for try := 1; len(open) > 0; try++ {
		v.each(len(open), "Check", func(i int) { found[open[i]] = v.examineBot(ctx, work[open[i]].Name) })
		open = slices.DeleteFunc(open, func(i int) bool { return found[i].State != command.FindingFailed })
		if try == maxChecks || len(open) > 0 && v.pause(ctx, checkPause) != nil {
			break
		}
	}
	for _, i := range open {
		errs[i] = fmt.Errorf("it was %s, and its check fails%s", pastOf(work[i].Action), reasonsOf(found[i]))
	}
}

// reasonsOf returns why a check failed, a line for each step.
func reasonsOf(e examined) string {
	if e.Reason != "" {
		return ": " + e.Reason
	}
	text := ""
	for _, s := range e.Steps {
		if s.State == command.FindingFailed {
			text += "\n  " + s.Step + ": " + s.Reason
		}
	}
	return text
}

// printApplied prints what was done.
func (v *verb) printApplied(work []*botPlan, errs []error) error {
	if err := v.printf("\n"); err != nil {
		return err
	}
	for i, p := range work {
		done := pastOf(p.Action)
		if errs[i] != nil {
			done = "failed"
		}
		if err := v.printf("%s: %s\n", p.Name, done); err != nil {
			return err
		}
	}
	return nil
}

// failures returns the errors of a plan that was applied.
func failures(work []*botPlan, errs []error) error {
	var failed []error
	for i, err := range errs {
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", work[i].Name, err))
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return fmt.Errorf("%d of %s failed:\n%w", len(failed), countOf(len(work)), errors.Join(failed...))
}
