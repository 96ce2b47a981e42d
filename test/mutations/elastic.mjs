// Faults in what changes while it serves: partitions, members, orchestrators.

const SIMULATION = 'node-go/simulation/simulation_test.go'

export const ELASTIC = [
  {
    name: 'activate-unreleased',
    says: 'the receiver of partitions takes them before the giver has let go',
    file: 'node-go/move/job.go',
    find: '\tif err := j.ask(j.ctx, nodev1.MoveStep_MOVE_STEP_RELEASE); err != nil {',
    replace: '\tif err := (*kverr.Error)(nil); err != nil {',
    test: 'node-go/move/import_test.go',
    only: 'TestAMoveUnderWrites',
    shows: /two shards own a partition/,
  },
  {
    name: 'release-after-thaw',
    says: 'a release is accepted after the freeze has ended',
    file: 'node-go/fsm/move.go',
    find: 'choose(know && state == Frozen, know && (state == Released',
    replace: 'choose(know && (state == Frozen || state == Owned), know && (state == Released',
    test: 'node-go/fsm/move_test.go',
    only: 'TestAFreezeEndsInLogTime',
    shows: /--- FAIL: TestAFreezeEndsInLogTime/,
  },
  {
    name: 'complete-unfrozen',
    says: 'an export is complete before the freeze is applied where it is served',
    file: 'node-go/fsm/export.go',
    find: 'frozen = frozen && p.Holding == Holding{State: Frozen, Epoch: x.epoch}',
    replace: 'frozen = frozen && p.Epoch <= x.epoch',
    test: 'node-go/fsm/export_test.go',
    only: 'TestWhatVoidsAnExport',
    shows: /--- FAIL: TestWhatVoidsAnExport/,
  },
  {
    name: 'answers-move',
    says: 'a shard forgets what it has answered once a partition is not its own any more',
    file: 'node-go/fsm/write.go',
    find: 'if first, done := session.first(write.GetSequence()); done {',
    replace:
      'if first, done := session.first(write.GetSequence()); done && w.f.state.partitions[command.Partition(keyOf(write))].State == Owned {',
    test: SIMULATION,
    shows: /seed \d+:/,
  },
  {
    name: 'tracker-too-late',
    says: 'an export follows the log only some time after its view',
    file: 'node-go/fsm/export.go',
    find: '\tf.exports.all[x] = struct{}{}\n',
    replace:
      '\tfor range 100_000 {\n\t\tf.exports.mu.Unlock()\n\t\tf.exports.mu.Lock()\n\t}\n\tf.exports.all[x] = struct{}{}\n',
    test: 'node-go/fsm/export_test.go',
    only: 'TestAnExportMissesNothing',
    shows: /--- FAIL: TestAnExportMissesNothing/,
  },
  {
    name: 'terms-ignored',
    says: 'an orchestrator that was deposed writes over what its successor has written',
    file: 'orchestrator/control/fence.ts',
    find: '    if (writer <= term) return value\n',
    replace: '    if (writer <= term || true) return value\n',
    test: 'orchestrator/control/lease.test.ts',
    shows: /of smaller terms after/,
  },
  {
    name: 'lease-held-too-long',
    says: 'an orchestrator believes that it holds the lease when another one may have taken it',
    file: 'orchestrator/control/lease.ts',
    find: 'const HELD_MS = LEASE_MS * 0.6',
    replace: 'const HELD_MS = LEASE_MS * 1.6',
    test: 'orchestrator/control/lease.test.ts',
    shows: /holders at step/,
  },
  {
    name: 'registry-not-asked',
    says: 'an orchestrator goes on with the nodes by a registry that is older than what meta has',
    file: 'orchestrator/control/claim.ts',
    find: '    if (!isNews) return\n',
    replace: '    if (!isNews || bases.size > 0) return\n',
    test: 'orchestrator/control/elsewhere.test.ts',
    shows: /× an old registry is brought up to date/,
  },
]
