/* Two-phase commit with presumed abort as indoubt does it, for the model checker spin:
 * one transaction over N participants, one coordinator that may die at any step and comes
 * back, one recovery pass after another beside it, messages that are lost, overtake each
 * other or arrive late, and a decision log whose write or sync may fail.
 * tests/model/check_model.py says which claims are checked and which must fail.
 *
 * The coordinator's states are those of coordinator/transaction.h:
 *
 *   here          there
 *   Preparing     kBegun, kPreparing: prepares go out one by one, so that a crash may
 *                 fall between two of them
 *   Deciding      kDeciding, commit proposed. Proposing an abort writes nothing and
 *                 cannot fail, so that it goes straight to RollingBack
 *   Committing    kCommitting; recovery enters here with a commit record
 *   RollingBack   kRollingBack; recovery enters here with an orphan
 *   InDoubt       kInDoubt: the process does nothing more and ends
 *   Ending        kEnding
 *   Idle          kEnded, or not yet found by recovery: not in the active set
 *   Down          there is no process
 *
 * Not modelled: one-phase commit, read-only votes, heuristic outcomes, several
 * transactions at once, what a participant forgets after the end record.
 *
 * Faults are counted, so that the state space is finite and "in the end" means: once
 * they have stopped. Switches (-D) that break the protocol on purpose:
 *   SEND_BEFORE_LOGGING  tells participants to commit before the record is durable
 *   IGNORE_ACTIVE        recovery does not leave out the active set
 *   TRUST_UNSYNCED       recovery tells a commit from a record that it did not sync anew
 *   NEVER_RESTARTS       a coordinator that died stays away
 */
#ifndef N
#define N 2 /* participants; 3 is possible, and more states than a minute has time for */
#endif
#ifndef CRASHES
#define CRASHES 1 /* beside the end after a failure of the log */
#endif
#ifndef LOSSES
#define LOSSES 1 /* lost messages and listings that got no answer, together */
#endif
#ifndef FAILURES
#define FAILURES 1 /* of the log's write or sync */
#endif

mtype = { PREPARE, COMMIT, ROLLBACK, YES, NO, DONE };
mtype = { Working, Prepared, Committed, RolledBack };
mtype = { Preparing, Deciding, Committing, RollingBack, InDoubt, Ending, Idle, Down };
mtype = { Nothing, Written, Durable, Ended }; /* the commit record; Written: not synced */
mtype = { ListFirst, TakeActive, ReadLog, ListAgain, Act };

/* What is on its way. Any message may overtake any other one of its direction. */
chan to_participant[N] = [3] of { mtype };
chan answers = [9] of { byte, mtype };

/* What outlives the coordinator. */
mtype branch[N] = Working;
mtype log = Nothing;
byte crashes, losses, failures;

/* What dies with it. */
mtype state = Preparing;
byte asked;                    /* to how many the prepare was sent */
bool yes[N], no[N];            /* votes that came */
bool addressed[N];             /* who has to be told the decision */
bool told[N], acknowledged[N];
bool end_noted;                /* the end record is written, lazily */
mtype pass = ListFirst;        /* where recovery is */
bool found[N];                 /* P, then what P and Q both hold */
bool was_active, in_log;       /* A and T */

#if N == 2
#define ALL(x) (x[0] && x[1])
#define SOME(x) (x[0] || x[1])
#define SOME_BRANCH(s) (branch[0] == s || branch[1] == s)
#else
#define ALL(x) (x[0] && x[1] && x[2])
#define SOME(x) (x[0] || x[1] || x[2])
#define SOME_BRANCH(s) (branch[0] == s || branch[1] == s || branch[2] == s)
#endif

#define UP (state != Down)
#define ACTIVE (state != Down && state != Idle)
#define AGREEMENT (!(SOME_BRANCH(Committed) && SOME_BRANCH(RolledBack)))

/* Nothing stays prepared for ever: no participant is blocked in the end. */
ltl never_blocked { [] (SOME_BRANCH(Prepared) -> <> !SOME_BRANCH(Prepared)) }

inline SendTo(p, message) {
  if
  :: to_participant[p]!message
  :: losses < LOSSES -> losses++
  fi
}

inline Answer(p, message) {
  if
  :: UP -> answers!p,message
  :: !UP -> skip
  :: UP && losses < LOSSES -> losses++
  fi
}

proctype Participant(byte me) {
  do
  :: atomic { to_participant[me]??PREPARE ->
       if
       :: branch[me] == Working -> branch[me] = Prepared; Answer(me, YES)
       :: branch[me] == Working -> branch[me] = RolledBack; assert(AGREEMENT); Answer(me, NO)
       :: branch[me] == RolledBack -> Answer(me, NO)
       fi }
  :: atomic { to_participant[me]??COMMIT ->
       assert(branch[me] == Prepared || branch[me] == Committed);
       branch[me] = Committed; assert(AGREEMENT); Answer(me, DONE) }
  :: atomic { to_participant[me]??ROLLBACK ->
       assert(branch[me] != Committed);
       if
       :: branch[me] == Prepared -> branch[me] = RolledBack; assert(AGREEMENT)
       :: branch[me] != Prepared -> skip /* not there: done. A prepare may still come */
       fi;
       Answer(me, DONE) }
  :: atomic { branch[me] == Working -> /* its server restarted before the vote */
       branch[me] = RolledBack; assert(AGREEMENT) }
  od
}

/* What is of no use any more is set back, so that it makes no states of its own. */
inline NoTransaction(next) {
  state = next; asked = 0;
  i = 0;
  do
  :: i < N ->
     yes[i] = false; no[i] = false; addressed[i] = false; told[i] = false;
     acknowledged[i] = false; i++
  :: i == N -> break
  od;
  i = 0
}

inline NoPass() {
  pass = ListFirst; was_active = false; in_log = false;
  i = 0;
  do
  :: i < N -> found[i] = false; i++
  :: i == N -> break
  od;
  i = 0
}

/* Answers die with the connections; what was sent may still arrive. */
inline Die() {
  if
  :: end_noted -> log = Ended
  :: true -> skip /* the lazy end record was not synced yet */
  fi;
  if
  :: log == Written -> log = Nothing /* power loss: it was in the page cache only */
  :: true -> skip
  fi;
  do
  :: nempty(answers) -> answers?_,_
  :: empty(answers) -> break
  od;
  end_noted = false;
  NoPass();
  NoTransaction(Down)
}

inline BeginTelling(next) {
  state = next; asked = 0;
  i = 0;
  do
  :: i < N -> yes[i] = false; no[i] = false; told[i] = false;
     acknowledged[i] = !addressed[i]; addressed[i] = false; i++
  :: i == N -> break
  od;
  i = 0
}

/* Everybody but those who said no: unknown is not no. */
inline Abort() {
  i = 0;
  do
  :: i < N -> addressed[i] = !no[i]; i++
  :: i == N -> break
  od;
  BeginTelling(RollingBack)
}

inline Commit() {
  i = 0;
  do
  :: i < N -> addressed[i] = true; i++
  :: i == N -> break
  od;
  BeginTelling(Committing)
}

/* Again and again until it is acknowledged, but never twice at once. */
#define TELL(p)                                                                        \
  :: atomic { state == Committing && !acknowledged[p] &&                               \
              !(to_participant[p]??[COMMIT]) && !(answers??[p,DONE]) ->                \
       SendTo(p, COMMIT) }                                                             \
  :: atomic { state == RollingBack && !acknowledged[p] && !told[p] ->                  \
       if                                                                              \
       :: to_participant[p]??[ROLLBACK] -> skip                                        \
       :: !(to_participant[p]??[ROLLBACK]) -> SendTo(p, ROLLBACK)                      \
       fi;                                                                             \
       told[p] = true }

#define TOLD(p) (told[p] || acknowledged[p])
#if N == 2
#define ALL_TOLD (TOLD(0) && TOLD(1))
#else
#define ALL_TOLD (TOLD(0) && TOLD(1) && TOLD(2))
#endif

proctype Coordinator() {
  byte i, sender;
  mtype message;
  do
  :: atomic { state == Preparing && asked < N -> SendTo(asked, PREPARE); asked++ }
  :: atomic { UP && nempty(answers) -> answers?sender,message;
       if
       :: message == YES && state == Preparing -> yes[sender] = true
       :: message == NO && state == Preparing -> no[sender] = true
       :: message == DONE && (state == Committing || state == RollingBack) ->
          acknowledged[sender] = true
       :: else -> skip /* late */
       fi;
       sender = 0; message = 0 }
  :: atomic { state == Preparing && ALL(yes) -> state = Deciding }
  :: atomic { state == Preparing && asked == N -> Abort() } /* a no, or the timeout */

#ifdef SEND_BEFORE_LOGGING
  :: atomic { state == Deciding && log == Nothing && !SOME(told) ->
       SendTo(0, COMMIT); told[0] = true }
  :: atomic { state == Deciding && log == Nothing && SOME(told) -> log = Written }
#else
  :: atomic { state == Deciding && log == Nothing -> log = Written }
#endif
  :: atomic { state == Deciding && log == Written -> log = Durable; Commit() }
  :: atomic { state == Deciding && failures < FAILURES -> failures++; state = InDoubt }

  TELL(0)
  TELL(1)
#if N == 3
  TELL(2)
#endif
  :: atomic { state == Committing && ALL(acknowledged) -> state = Ending }
  :: atomic { state == Ending -> end_noted = true; NoTransaction(Idle) }
  :: atomic { state == RollingBack && ALL_TOLD -> NoTransaction(Idle) } /* or given up */

  :: atomic { state == InDoubt || (UP && crashes < CRASHES) ->
       if
       :: state == InDoubt -> skip /* it ends by itself */
       :: state != InDoubt -> crashes++
       fi;
       Die() }
#ifndef NEVER_RESTARTS
  :: atomic { state == Down ->
#ifndef TRUST_UNSYNCED
       if
       :: log == Written -> log = Durable /* into a fresh, synced segment */
       :: log != Written -> skip
       fi;
#endif
       state = Idle }
#endif
  od
}

/* Each participant's listing; one without an answer shows nothing. `keep` is what the
 * listing before showed. */
inline List(keep) {
  i = 0;
  do
  :: i < N ->
     if
     :: found[i] = keep && branch[i] == Prepared
     :: losses < LOSSES -> losses++; found[i] = false
     fi;
     i++
  :: i == N -> break
  od;
  i = 0
}

#ifdef TRUST_UNSYNCED
#define IN_LOG ((log == Written || log == Durable) && !end_noted)
#else
#define IN_LOG (log == Durable && !end_noted)
#endif

proctype Recovery() {
  byte i;
  do
  :: atomic { UP && pass == ListFirst -> List(true);
       if
       :: SOME(found) || IN_LOG -> pass = TakeActive
       :: else -> skip /* nothing to do: the next pass */
       fi }
  :: atomic { UP && pass == TakeActive -> was_active = ACTIVE; pass = ReadLog }
  :: atomic { UP && pass == ReadLog -> in_log = IN_LOG; pass = ListAgain }
  :: atomic { UP && pass == ListAgain -> List(found[i]); /* where P had something */
        pass = Act }
  :: atomic { UP && pass == Act ->
#ifdef IGNORE_ACTIVE
       if
       :: ACTIVE && !in_log && found[0] && !(to_participant[0]??[ROLLBACK]) ->
          SendTo(0, ROLLBACK)
       :: else -> skip
       fi;
#endif
       if
       :: was_active || ACTIVE -> skip
       :: !(was_active || ACTIVE) && in_log -> Commit()
       :: !(was_active || ACTIVE) && !in_log && SOME(found) && !IN_LOG ->
          do
          :: i < N -> addressed[i] = found[i]; i++
          :: i == N -> break
          od;
          BeginTelling(RollingBack)
       :: else -> skip
       fi;
       NoPass() }
  od
}

init {
  atomic {
    run Coordinator();
    run Recovery();
    run Participant(0);
    run Participant(1);
#if N == 3
    run Participant(2);
#endif
  }
}
