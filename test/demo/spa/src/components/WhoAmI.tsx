import type { User } from 'cognito-token-handler'

export function WhoAmI({ user }: { user: User }) {
  const name = user.name ?? user.email ?? user.username ?? user.sub
  return (
    <section className="card" aria-labelledby="who-title">
      <p className="eyebrow" id="who-title">
        Who am I
      </p>
      <div className="identity">
        <span className="avatar" aria-hidden="true">
          {name.charAt(0).toUpperCase()}
        </span>
        <h1>{name}</h1>
      </div>
      <dl className="facts">
        {user.username !== user.sub && <Fact label="Username" value={user.username} testid="who-username" />}
        <Fact label="Email" value={user.email} testid="who-email" />
        <Fact label="Subject" value={user.sub} testid="who-sub" mono />
        <div>
          <dt>Groups</dt>
          <dd data-testid="who-groups">
            {user.groups?.length ? user.groups.map((group) => <span className="tag" key={group}>{group}</span>) : 'none'}
          </dd>
        </div>
      </dl>
    </section>
  )
}

function Fact(props: { label: string; value: string | undefined; testid: string; mono?: boolean }) {
  return (
    <div>
      <dt>{props.label}</dt>
      <dd className={props.mono ? 'mono' : undefined} data-testid={props.testid}>
        {props.value ?? 'not given'}
      </dd>
    </div>
  )
}
