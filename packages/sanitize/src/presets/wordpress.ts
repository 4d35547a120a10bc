import { constant, keep, mask, type Preset } from './preset.ts';

/** Without these a site does not come up, or not as it looks; none of them is anybody's. Every other option goes, and has its default. */
const options = [
  'siteurl',
  'home',
  'blogname',
  'blogdescription',
  'blog_charset',
  'blog_public',
  'template',
  'stylesheet',
  'current_theme',
  'active_plugins',
  'permalink_structure',
  'rewrite_rules',
  'category_base',
  'tag_base',
  'default_role',
  'default_category',
  'posts_per_page',
  'show_on_front',
  'page_on_front',
  'page_for_posts',
  'date_format',
  'time_format',
  'timezone_string',
  'gmt_offset',
  'start_of_week',
  'WPLANG',
  'db_version',
  'initial_db_version',
  'users_can_register',
  'sidebars_widgets',
  'thumbnail_size_w',
  'thumbnail_size_h',
  'medium_size_w',
  'medium_size_h',
  'large_size_w',
  'large_size_h',
  'upload_path',
  'upload_url_path',
  'uploads_use_yearmonth_folders',
];
const quoted = (names: readonly string[]): string => names.map((name) => `'${name}'`).join(', ');

/** What the core keeps of a user that is not personal. */
const userKeys = ['rich_editing', 'syntax_highlighting', 'admin_color', 'show_admin_bar_front', 'locale'];

/** WordPress with whatever prefix, on MariaDB; and WooCommerce's sessions and queue. Posts and pages are yours to decide. */
export const wordpress: Preset = {
  tables: [
    {
      name: '*users',
      has: ['user_login', 'user_pass', 'user_email', 'user_activation_key'],
      rule: {
        columns: {
          user_login: mask('token'),
          user_pass: constant('!'),
          user_nicename: mask('token'),
          user_email: mask('email'),
          user_url: constant(''),
          user_activation_key: constant(''),
          display_name: mask('name'),
        },
      },
    },
    {
      name: '*usermeta',
      has: ['umeta_id', 'meta_key', 'meta_value'],
      rule: {
        where: `meta_key like '%capabilities' or meta_key like '%user_level' or meta_key in (${quoted(userKeys)})`,
        columns: {
          meta_key: keep('names what is kept, not whose'),
          meta_value: keep('roles, and how the pages of administrators look'),
        },
      },
    },
    {
      name: '*comments',
      has: ['comment_author_email', 'comment_author_IP', 'comment_content'],
      rule: {
        columns: {
          comment_author: mask('name'),
          comment_author_email: mask('email'),
          comment_author_url: constant(''),
          comment_author_IP: mask('ip'),
          comment_content: mask('free-text'),
          comment_approved: keep('whether it is shown'),
          comment_agent: constant(''),
          comment_type: keep('a kind of comment'),
        },
      },
    },
    {
      name: '*options',
      has: ['option_id', 'option_name', 'option_value', 'autoload'],
      rule: {
        where: `option_name in (${quoted(options)}) or option_name like '%user_roles' or option_name like 'theme_mods_%'`,
        columns: {
          option_name: keep('names what is kept, not whose'),
          option_value: keep('what a site needs to come up as it looks'),
          autoload: keep('whether it is read at each request'),
        },
      },
    },
    {
      name: '*terms',
      has: ['term_id', 'name', 'slug', 'term_group'],
      rule: { keep: 'public names of categories and tags' },
    },
    {
      name: '*term_taxonomy',
      has: ['term_taxonomy_id', 'taxonomy'],
      rule: { keep: 'how categories and tags are ordered' },
    },
    { name: '*woocommerce_sessions', has: ['session_key', 'session_value'], rule: 'truncate' },
    { name: '*woocommerce_api_keys', has: ['consumer_key', 'consumer_secret'], rule: 'truncate' },
    { name: '*actionscheduler_actions', has: ['action_id', 'hook', 'args'], rule: 'truncate' },
    { name: '*actionscheduler_logs', has: ['log_id', 'action_id'], rule: 'truncate' },
    { name: '*actionscheduler_claims', has: ['claim_id'], rule: 'truncate' },
  ],
};
