import { first } from './0001-first.ts'
import { ssh } from './0002-ssh.ts'
import { notify } from './0003-notify.ts'
import { claims } from './0004-claims.ts'
import { locksWithEnds } from './0005-locks.ts'
import { workflows } from './0006-workflows.ts'
import { machines } from './0007-machines.ts'
import { history } from './0008-history.ts'
import { scopes } from './0009-scopes.ts'
import { grantLife } from './0010-grant-life.ts'
import { reviewsOfEmergencies } from './0011-reviews.ts'
import { campaigns } from './0012-campaigns.ts'
import { reports } from './0013-reports.ts'
import { statementQuestions } from './0014-statement-questions.ts'
import { databaseUsers } from './0015-database-users.ts'
import { workKeys } from './0016-work-keys.ts'
import { everythingEnded } from './0017-everything-ended.ts'

/** By number: the first has number 1. What is published here never changes; a new need is a new number. */
export const migrations: readonly string[] = [
  first,
  ssh,
  notify,
  claims,
  locksWithEnds,
  workflows,
  machines,
  history,
  scopes,
  grantLife,
  reviewsOfEmergencies,
  campaigns,
  reports,
  statementQuestions,
  databaseUsers,
  workKeys,
  everythingEnded,
]
