import { parseArgs } from 'node:util'

/** What `init` needs to know. What has no value is `''`. */
export interface Answers {
  region: string
  userPoolId: string
  domain: string
  clientId: string
  port: string
  api: string
  bucket: string
}

interface Question {
  flag: string
  name: keyof Answers
  ask: string
  /** The answer of somebody who gives none. */
  usual: (known: Answers) => string
  /** What is wrong with an answer, if anything is. */
  fault: (answer: string, known: Answers) => string | false
}

const isOrigin = (text: string) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol) && new URL(text).origin === text
const regionOf = ({ userPoolId }: Answers) => userPoolId.split('_')[0]!

/** All questions, in the order in which they are asked. */
export const questions: Question[] = [
  {
    flag: 'user-pool-id',
    name: 'userPoolId',
    ask: 'Id of the user pool, such as eu-central-1_AbCdEfGhI',
    usual: () => '',
    fault: (id) => !/^[a-z]{2}(-[a-z]+)+-\d+_[0-9A-Za-z]+$/.test(id) && 'is not the id of a user pool, such as eu-central-1_AbCdEfGhI',
  },
  {
    flag: 'region',
    name: 'region',
    ask: 'Region of the user pool',
    usual: regionOf,
    fault: (region, known) => region !== regionOf(known) && `is not the region of the user pool, ${regionOf(known)}`,
  },
  {
    flag: 'domain',
    name: 'domain',
    ask: 'Domain of the login pages, such as https://login.example.com, or the prefix of one at Cognito (empty: the pool tells)',
    usual: () => '',
    fault: (domain) => domain !== '' && !/^[a-z0-9-]+$/.test(domain) && !(isOrigin(domain) && domain.startsWith('https:')) && 'is neither https://… without a path nor a prefix',
  },
  {
    flag: 'client-id',
    name: 'clientId',
    ask: 'Id of an app client with a secret (empty: you create one with the command that is printed)',
    usual: () => '',
    fault: (id) => !/^\w*$/.test(id) && 'has letters and digits only',
  },
  {
    flag: 'port',
    name: 'port',
    ask: 'Port of the app on this machine',
    usual: () => '5173',
    fault: (port) => !(/^\d+$/.test(port) && +port > 0 && +port < 65536) && 'is no port',
  },
  {
    flag: 'api',
    name: 'api',
    ask: 'Address of your API, such as http://localhost:3000 (empty: none yet)',
    usual: () => '',
    fault: (api) => api !== '' && !isOrigin(api) && 'is not http://… or https://… without a path',
  },
  {
    flag: 'bucket',
    name: 'bucket',
    ask: "S3 bucket for the users' files (empty: none)",
    usual: () => '',
    fault: (bucket) => bucket !== '' && !/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket) && 'is no name of a bucket',
  },
]

export const usage = `Usage: npx cognito-token-handler init [flags]

Writes the token handler's configuration, src/auth.ts and the lines of vite.config.ts for the app in this folder, and prints what to
do at AWS. Asks for what no flag gives.

${questions.map(({ flag, ask }) => `  --${`${flag} …`.padEnd(17)} ${ask}`).join('\n')}
  --yes               asks nothing: takes the usual answer for what no flag gives
  --help              shows this
`

/** Faults of the command line or of an answer. */
export class Refused extends Error {}

/**
 * Reads the flags, and asks for what they do not give. The result is undefined if only help was wanted.
 *
 * @param asking `undefined` if nobody is there to be asked
 */
export async function answersOf(args: string[], asking: ((text: string) => Promise<string>) | undefined): Promise<Answers | undefined> {
  const { yes, help, ...given } = flagsOf(args)
  if (help) return undefined
  const ask = yes ? undefined : asking
  const known = { region: '', userPoolId: '', domain: '', clientId: '', port: '', api: '', bucket: '' }
  const faults: string[] = []
  for (const question of questions) {
    const { flag, name, fault } = question
    const usual = question.usual(known)
    const answer = given[flag]
    known[name] = typeof answer === 'string' ? answer : usual
    if (ask && answer === undefined) known[name] = (await ask(`${question.ask}${usual && ` [${usual}]`}: `)).trim() || usual
    for (let wrong; ask && (wrong = fault(known[name], known)); ) {
      known[name] = (await ask(`"${known[name]}" ${wrong}. ${question.ask}: `)).trim() || usual
    }
    const wrong = fault(known[name], known)
    if (wrong) faults.push(known[name] ? `--${flag}: "${known[name]}" ${wrong}` : `--${flag} is missing`)
  }
  if (faults.length > 0) throw new Refused(faults.join('\n'))
  if (known.domain && !known.domain.includes(':')) known.domain = `https://${known.domain}.auth.${known.region}.amazoncognito.com`
  return known
}

function flagsOf(args: string[]): Record<string, string | boolean | undefined> {
  const values = Object.fromEntries(questions.map(({ flag }) => [flag, { type: 'string' as const }]))
  const options = { ...values, yes: { type: 'boolean' as const }, help: { type: 'boolean' as const } }
  try {
    return parseArgs({ args, options }).values as Record<string, string | boolean | undefined>
  } catch (error) {
    throw new Refused((error as Error).message)
  }
}
