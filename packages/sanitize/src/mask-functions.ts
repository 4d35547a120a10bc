import { type TextRule, textRules } from '@bough/manifest/sanitize-policy';
import { literal } from './quote.ts';

/**
 * The expressions that mask, in SQL that every PostgreSQL has: HMAC-SHA256 is sha256 twice (no pgcrypto). The key's two
 * pads are settings of the session, so that the key is in no statement, no catalogue and no file.
 */
export const innerKeySetting = 'bough.inner_key';
export const outerKeySetting = 'bough.outer_key';

/** What masked e-mail addresses end in: a domain that nobody can own (RFC 2606). */
export const reservedDomain = 'example.test';
/** Fields by which detectors know our own: no bank has this code, no issuer these numbers. */
export const maskedBankCode = '00000000';
export const maskedIbanPrefix = 'TEST';
export const maskedCardPrefix = '400000';

export const firstNames =
  'Ada,Alan,Amara,Anton,Bea,Boris,Cara,Cyrus,Dana,Diego,Edda,Emil,Fay,Felix,Gita,Hugo,Ida,Ivan,Jana,Jonas,Kaya,Kofi,Lena,Luca,Maya,Milo,Nora,Omar,Pia,Quinn,Rosa,Timo';
export const lastNames =
  'Abel,Bauer,Castro,Dahl,Eriksen,Fischer,Garcia,Haas,Ito,Jansen,Keller,Lopez,Moreau,Novak,Okafor,Perez,Quist,Rossi,Sato,Torres,Ullmann,Vidal,Weber,Xavier,Yilmaz,Ziegler,Adler,Berg,Conti,Dumas,Egger,Frank';
export const cities =
  'Ashford,Brookfield,Clearwater,Dunmore,Eastvale,Fairview,Glenwood,Hillcrest,Ironwood,Kingsport,Lakewood,Maplewood,Northfield,Oakdale,Pinehurst,Riverton';
const streets =
  'Elm,Oak,Maple,Cedar,Birch,Willow,Chestnut,Linden,Hazel,Rowan,Aspen,Juniper,Laurel,Poplar,Spruce,Alder';
export const companies =
  'Acorn,Beacon,Cobalt,Delta,Ember,Fjord,Granite,Harbor,Indigo,Juniper,Kestrel,Lumen,Meridian,Nimbus,Orchard,Pebble';

/**
 * Every first name with every last, and every street with many numbers: one digest draws both. As values of the type `name`,
 * which are of one width: an entry of such an array is found without reading those before it.
 */
export const combined: Readonly<Record<string, readonly string[]>> = {
  bough_names: firstNames
    .split(',')
    .flatMap((first) => lastNames.split(',').map((last) => `${first} ${last}`)),
  bough_addresses: streets
    .split(',')
    .flatMap((street) => Array.from({ length: 128 }, (_, number) => `${number + 1} ${street} Street`)),
};

/**
 * Digits for digits: by the server's own formatting where there is nothing but them and marks, a fraction of the time of
 * `bough_shape`. `translate` takes its time for each character, so only the digits that are needed go through it.
 */
function sameShape(domain: string, value: string): string {
  const digits = digitsOf(domain, value, `length(translate(${value}, '+() ./-', ''))`);
  const format = `'FM' || replace(translate(${value}, '123456789', '000000000'), '.', '"."')`;
  return `case when octet_length(${value}) <= 40 and ${value} ~ '^[0-9+() ./-]*[0-9][0-9+() ./-]*$'
    then to_char(${digits}::numeric, ${format}) else pg_temp.bough_shape(${domain}, ${value}) end`;
}

/** So many decimal digits of the digest, 64 at most. */
function digitsOf(domain: string, value: string, count: number | string): string {
  return `translate(left(encode(pg_temp.bough_mac(${domain}, ${value}), 'hex'), ${count}), 'abcdef', '012345')`;
}

const fillerText = 'lorem ipsum dolor sit amet ';
/** Characters up to which `rpad` is the quickest; it goes through them one by one. */
const shortText = 10_000;

function filler(length: string): string {
  const text = literal(fillerText);
  return `case when ${length} <= ${shortText} then rpad('', ${length}, ${text}) else left(repeat(${text}, 1 + ${length} / ${fillerText.length}), ${length}) end`;
}

/**
 * SQL text that masks the text `value` under the rule, of at most `maxLength` characters. Null stays null. `unique`:
 * 64 bits of the digest at least are in it.
 */
export function textExpression(
  rule: TextRule,
  options: { domain: string; value: string; unique: boolean; maxLength?: number | null },
): string {
  const { domain, value, unique } = options;
  const hex = (part = '') =>
    `encode(pg_temp.bough_mac(${part === '' ? domain : `${domain} || ${literal(part)}`}, ${value}), 'hex')`;
  const drawn = (list: string) =>
    `(pg_temp.${list}())[1 + ('x' || left(${hex()}, 7))::bit(28)::int % ${combined[list]?.length}]::text`;
  const pick = (words: string, part: string) => {
    const list = words.split(',');
    // One byte of the digest: no list is longer than that.
    return `(array[${list.map(literal).join(',')}])[1 + get_byte(pg_temp.bough_mac(${part === '' ? domain : `${domain} || ${literal(part)}`}, ${value}), 0) % ${list.length}]`;
  };
  const tagged = (text: string) => (unique ? `${text} || ' ' || left(${hex()}, 16)` : text);
  const cut = (text: string) =>
    typeof options.maxLength === 'number' ? `left(${text}, ${options.maxLength})` : text;
  switch (rule) {
    case 'email':
      return `'u' || left(${hex()}, 16) || '@${reservedDomain}'`;
    case 'name':
      return cut(tagged(drawn('bough_names')));
    case 'first-name':
      return cut(tagged(pick(firstNames, '')));
    case 'last-name':
      return cut(tagged(pick(lastNames, '')));
    case 'city':
      return cut(tagged(pick(cities, '')));
    case 'company':
      return cut(tagged(`${pick(companies, '')} || ' Ltd'`));
    case 'address':
      return cut(tagged(drawn('bough_addresses')));
    case 'phone':
      return unique ? `'+999' || ${digitsOf(domain, value, 20)}` : sameShape(domain, value);
    case 'postcode':
      return unique ? `left(${hex()}, 16)` : sameShape(domain, value);
    case 'ip':
      return unique
        ? `'2001:db8:' || pg_temp.bough_groups(left(${hex()}, 24))`
        : `case when ${value} like '%:%' then '2001:db8:' || pg_temp.bough_groups(left(${hex()}, 24)) else '198.18.' || ('x' || left(${hex()}, 2))::bit(8)::int::text || '.' || ('x' || left(${hex(' host')}, 2))::bit(8)::int::text end`;
    case 'iban':
      return unique
        ? `pg_temp.bough_iban('LC', '${maskedIbanPrefix}' || ${digitsOf(domain, value, 24)})`
        : `pg_temp.bough_iban('DE', '${maskedBankCode}' || ${digitsOf(domain, value, 10)})`;
    case 'card':
      return `pg_temp.bough_luhn('${maskedCardPrefix}' || ${digitsOf(domain, value, 9)})`;
    case 'free-text':
      return cut(
        unique
          ? `left(${hex()}, 16) || ' ' || ${filler(`greatest(length(${value}) - 17, 0)`)}`
          : filler(`length(${value})`),
      );
    case 'token':
      return cut(hex());
    case 'hash':
      return cut(`left(${hex()}, 32)`);
    case 'uuid':
      return `pg_temp.bough_uuid(${hex()})::text`;
  }
}

function entries([name, list]: readonly [string, readonly string[]]): string {
  return `create function pg_temp.${name}() returns name[] language sql immutable as $$ select ${literal(`{${list.map((entry) => `"${entry}"`).join(',')}}`)}::name[] $$;`;
}

/** Makes the functions, for this session only. */
export function maskFunctions(): string {
  const leaves = textRules
    .map(
      (rule) =>
        `when ${literal(rule)} then ${textExpression(rule, { domain: 'domain', value: 'v', unique: false })}`,
    )
    .join('\n    ');
  const unique = textRules
    .map(
      (rule) =>
        `when ${literal(rule)} then ${textExpression(rule, { domain: 'domain', value: 'v', unique: rule !== 'card' })}`,
    )
    .join('\n    ');
  // `textsend` is the text in the client's encoding, which the session has set to UTF-8; unlike convert_to it checks nothing.
  // What is called immutable here is so for the session: the planner then computes it once, not for each row.
  return `
create function pg_temp.bough_outer() returns bytea language sql immutable as $$
  select decode(current_setting('${outerKeySetting}'), 'hex') $$;
create function pg_temp.bough_inner() returns bytea language sql immutable as $$
  select decode(current_setting('${innerKeySetting}'), 'hex') $$;
create function pg_temp.bough_mac(domain text, v text) returns bytea language sql stable as $$
  select sha256(pg_temp.bough_outer() || sha256(pg_temp.bough_inner() || textsend(domain || chr(31) || v))) $$;
${Object.entries(combined).map(entries).join('\n')}
create function pg_temp.bough_shape(domain text, v text) returns text language plpgsql stable strict as $$
declare
  digits text := ${digitsOf('domain', 'v', 64)};
  result text := '';
  c text;
  n int;
begin
  for i in 1..length(v) loop
    c := substr(v, i, 1);
    n := 1 + (i - 1) % 60;
    result := result || case when c ~ '[0-9]' then substr(digits, n, 1)
      when c ~ '[a-z]' then chr(97 + substr(digits, n, 2)::int % 26)
      when c ~ '[A-Z]' then chr(65 + substr(digits, n, 2)::int % 26)
      when c ~ '[[:alpha:]]' then 'x' else c end;
  end loop;
  return result;
end $$;
create function pg_temp.bough_groups(hex text) returns text language sql immutable as $$
  select rtrim(regexp_replace(hex, '(....)', '\\1:', 'g'), ':') $$;
create function pg_temp.bough_uuid(hex text) returns uuid language sql immutable as $$
  select overlay(overlay(left(hex, 32) placing '4' from 13) placing '8' from 17)::uuid $$;
create function pg_temp.bough_iban(country text, account text) returns text language plpgsql immutable strict as $$
declare
  number text := '';
  c text;
begin
  foreach c in array regexp_split_to_array(account || country || '00', '') loop
    number := number || case when c ~ '[A-Z]' then (ascii(c) - 55)::text else c end;
  end loop;
  return country || lpad((98 - number::numeric % 97)::text, 2, '0') || account;
end $$;
create function pg_temp.bough_luhn(digits text) returns text language plpgsql immutable strict as $$
declare
  total int := 0;
  d int;
begin
  for i in 1..length(digits) loop
    d := substr(digits, length(digits) + 1 - i, 1)::int;
    if i % 2 = 1 then d := d * 2; if d > 9 then d := d - 9; end if; end if;
    total := total + d;
  end loop;
  return digits || ((10 - total % 10) % 10)::text;
end $$;
create function pg_temp.bough_text(rule text, domain text, v text) returns text language plpgsql stable strict as $$
begin
  return case rule
    ${leaves}
  end;
end $$;
create function pg_temp.bough_unique_text(rule text, domain text, v text) returns text language plpgsql stable strict as $$
begin
  return case rule
    ${unique}
  end;
end $$;
create function pg_temp.bough_array(rule text, domain text, v text[]) returns text[] language sql stable strict as $$
  select coalesce(array_agg(pg_temp.bough_text(rule, domain, e) order by n), '{}')
  from unnest(v) with ordinality u(e, n) $$;
create function pg_temp.bough_json(domain text, v jsonb, rules jsonb, keep_rest boolean, path text) returns jsonb
language plpgsql stable as $$
declare
  rule text := nullif(rules ->> path, 'into');
begin
  if v is null then return null; end if;
  if rule = 'keep' then return v; end if;
  if rule = 'null' then return 'null'; end if;
  case jsonb_typeof(v)
    when 'object' then
      return (select coalesce(jsonb_object_agg(key, pg_temp.bough_json(domain, value, rules, keep_rest,
        concat_ws('.', nullif(path, ''), key))), '{}') from jsonb_each(v)
        where keep_rest or rules ? concat_ws('.', nullif(path, ''), key));
    when 'array' then
      return (select coalesce(jsonb_agg(pg_temp.bough_json(domain, e, rules, keep_rest,
        concat_ws('.', nullif(path, ''), '*')) order by n), '[]') from jsonb_array_elements(v) with ordinality u(e, n));
    when 'null' then return v;
    else
      if rule is null then return case when keep_rest then v else 'null' end; end if;
      return to_jsonb(pg_temp.bough_text(rule, rule, v #>> '{}'));
  end case;
end $$;
create function pg_temp.bough_quote(v text) returns text language sql immutable as $$
  select '"' || replace(replace(v, '\\', '\\\\'), '"', '\\"') || '"' $$;
create function pg_temp.bough_hstore(v jsonb, rules jsonb, keep_rest boolean) returns text language plpgsql stable strict as $$
begin
  return (select coalesce(string_agg(pg_temp.bough_quote(key) || '=>' || coalesce(pg_temp.bough_quote(
      case rule when 'keep' then value when 'null' then null else pg_temp.bough_text(rule, rule, value) end), 'NULL'), ','), '')
    from (select key, value, coalesce(rules ->> key, rules ->> '*', 'keep') as rule from jsonb_each_text(v)
      where keep_rest or rules ? key or rules ? '*') e);
end $$;
create function pg_temp.bough_hstores(v jsonb[], rules jsonb, keep_rest boolean) returns text[] language sql stable strict as $$
  select coalesce(array_agg(pg_temp.bough_hstore(e, rules, keep_rest) order by n), '{}')
  from unnest(v) with ordinality u(e, n) $$;
create function pg_temp.bough_shift(domain text, v text, days int) returns interval language sql stable as $$
  select make_interval(days => (case when get_byte(pg_temp.bough_mac(domain || ' sign', v), 0) % 2 = 0 then 1 else -1 end)
    * (1 + ('x' || left(encode(pg_temp.bough_mac(domain, v), 'hex'), 7))::bit(28)::int % days)) $$;
create function pg_temp.bough_permute(domain text, v bigint, size bigint) returns bigint language plpgsql stable strict as $$
declare
  half int := ceil(log(2, size::numeric) / 2)::int;
  mask bigint := (1::bigint << half) - 1;
  l bigint;
  r bigint;
  t bigint;
begin
  if v = 0 then return 0; end if;
  if v < 0 or v >= size then
    raise exception 'permuted-id cannot mask a number that is negative or out of range';
  end if;
  loop
    l := v >> half;
    r := v & mask;
    for i in 1..6 loop
      t := l # (('x' || left(encode(pg_temp.bough_mac(domain || ' ' || i, r::text), 'hex'), 15))::bit(60)::bigint & mask);
      l := r;
      r := t;
    end loop;
    v := (l << half) | r;
    exit when v > 0 and v < size;
  end loop;
  return v;
end $$;`;
}
