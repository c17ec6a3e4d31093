import{At as e,Dt as t,Et as n,Ht as r,It as i,J as a,Jt as o,Mt as s,N as c,Ot as l,Pt as u,Qt as d,Vt as f,Y as ee,Yt as p,Z as m,at as h,ct as g,et as _,g as v,ht as y,it as b,kt as x,l as S,lt as C,rt as w,u as T,ut as E,xt as D}from"./theme.svelte-Clnkt6ia.js";import{r as O}from"./api-VMmbvNdG.js";import{E as k,T as A,a as j,m as te,n as ne,w as M}from"./main-CothlvWh.js";import{t as N}from"./Badge-C5PINm2R.js";import{t as P}from"./Page-CtXG_tVl.js";import{t as F}from"./Tabs-B7JQ6OG7.js";import{c as I,i as L,l as R,o as z,s as B}from"./kinds-C5bwCLh6.js";function re(e,t,n){let r=B(e,t),i=Object.entries(r).find(([e,t])=>!/^(email|password|passwordConfirm)$/.test(e)&&[`string`,`number`,`boolean`].includes(typeof t)),a=e.fields.filter(({hidden:e,type:t})=>!e&&t!==`password`),o=a.find(({name:e,type:t})=>e!==`id`&&[`select`,`text`,`bool`,`number`,`email`].includes(t))??a.find(({name:e})=>e===`id`),s=a.find(({type:e})=>e===`autodate`)??a.find(({type:e})=>e===`date`),c=e.type===`auth`?e:void 0,l=c?.passwordAuth?.identityFields?.[0]??`email`;return{base:n,collection:e,create:r,update:i?{[i[0]]:i[1]}:{},files:R(e).filter(({type:e})=>e===`file`).slice(0,2).map(({name:e,maxSelect:t})=>({name:e,several:Number(t)>1})),filter:o?`${o.name} = ${V(I(o,t))}`:`id != ''`,sort:s?`-${s.name}`:`-@rowid`,expand:a.find(({type:e})=>e===`relation`)?.name,identity:{field:l,value:l===`email`?`ada@example.com`:`ada`},provider:c?.oauth2?.providers?.[0]?.name??`google`}}function V(e){let t=Array.isArray(e)?e[0]:e;return typeof t==`string`?`"${t.replace(/["\\]/g,`\\$&`)}"`:String(t)}function ie(e,t){let n=`/api/collections/${encodeURIComponent(e.name)}/records`,r={status:200,body:z(e,t)},i=e.fields.some(({type:e})=>e===`file`),a=[{id:`list`,requests:[{method:`GET`,path:n}],rule:`listRule`,params:[`page`,`perPage`,`sort`,`filter`,`expand`,`fields`,`skipTotal`],answer:{status:200,body:{page:1,perPage:30,totalItems:1,totalPages:1,items:[r.body]}}},{id:`view`,requests:[{method:`GET`,path:`${n}/RECORD_ID`}],rule:`viewRule`,params:[`expand`,`fields`],answer:r}];return e.type!==`view`&&a.push({id:`create`,requests:[{method:`POST`,path:n}],rule:`createRule`,params:[`expand`,`fields`],answer:r},{id:`update`,requests:[{method:`PATCH`,path:`${n}/RECORD_ID`}],rule:`updateRule`,params:[`expand`,`fields`],answer:r},{id:`delete`,requests:[{method:`DELETE`,path:`${n}/RECORD_ID`}],rule:`deleteRule`,params:[],answer:{status:204,body:null}}),e.type===`auth`&&a.push(...H(e,t)),e.type!==`view`&&(a.push({id:`realtime`,requests:[{method:`GET`,path:`/api/realtime`},{method:`POST`,path:`/api/realtime`}],params:[],answer:{status:200,body:{action:`update`,record:r.body}}}),a.push({id:`batch`,requests:[{method:`POST`,path:`/api/batch`}],params:[],answer:{status:200,body:[{status:200,body:r.body}]}})),i&&a.push({id:`files`,requests:[{method:`GET`,path:`/api/files/${encodeURIComponent(e.name)}/RECORD_ID/FILENAME`}],rule:`viewRule`,params:[`thumb`,`token`,`download`],answer:{status:200,body:null}}),a}function H(e,t){if(e.type!==`auth`)return[];let n=`/api/collections/${encodeURIComponent(e.name)}`,r={status:200,body:{token:`eyJhbGciOiJIUzI1NiJ9…`,record:z(e,t)}},i={status:204,body:null},a=(...e)=>e.map(e=>({method:`POST`,path:`${n}/${e}`})),{passwordAuth:o,oauth2:s,otp:c,mfa:l}=e,u=[{id:`methods`,requests:[{method:`GET`,path:`${n}/auth-methods`}],params:[`fields`],answer:{status:200,body:{password:{enabled:!!o?.enabled,identityFields:o?.identityFields??[]},oauth2:{enabled:!!s?.enabled,providers:(s?.providers??[]).map(({name:e})=>({name:e}))},mfa:{enabled:!!l?.enabled,duration:l?.duration??0},otp:{enabled:!!c?.enabled,duration:c?.duration??0}}}}],d=[[!!o?.enabled,`password`,[`auth-with-password`]],[!!s?.enabled,`oauth2`,[`auth-with-oauth2`]],[!!c?.enabled,`otp`,[`request-otp`,`auth-with-otp`]]];for(let[e,t,n]of d)e&&u.push({id:t,requests:a(...n),rule:`authRule`,params:[`expand`,`fields`],answer:r});return u.push({id:`refresh`,requests:a(`auth-refresh`),params:[`expand`,`fields`],answer:r}),u.push({id:`verification`,requests:a(`request-verification`,`confirm-verification`),params:[],answer:i}),o?.enabled&&u.push({id:`passwordReset`,requests:a(`request-password-reset`,`confirm-password-reset`),params:[],answer:i}),u.push({id:`emailChange`,requests:a(`request-email-change`,`confirm-email-change`),params:[],answer:i}),u}var ae=(e,{rule:t})=>t?L(e,t):void 0,U=e=>`'${e.replaceAll(`'`,`'\\''`)}'`;function W({base:e},{method:t=`GET`,path:n,body:r,query:i,forms:a=[],signedIn:o=!1}){let s=[`curl${t===`GET`?i?` --get`:``:` -X ${t}`} ${U(`${e}${n}`)}`];if(o&&s.push(`-H "Authorization: $TOKEN"`),a.length)for(let e of a)s.push(`${/^\w+=@\/path/.test(e)?`--form`:`--form-string`} ${U(e)}`);for(let[e,t]of Object.entries(i??{}))s.push(`--data-urlencode ${U(`${e}=${t}`)}`);return r!==void 0&&!a.length&&s.push(`-H 'Content-Type: application/json'`,`-d ${U(JSON.stringify(r,null,2))}`),s.join(` \\
  `)}var G=({collection:e})=>`/api/collections/${encodeURIComponent(e.name)}/records`,K=({collection:e},t)=>`/api/collections/${encodeURIComponent(e.name)}/${t}`,q=(e,t,n,r=!1)=>W(e,{method:`POST`,path:K(e,t),body:n,signedIn:r});function oe(e,t){return J[e](t)}var J={list:e=>W(e,{path:G(e),signedIn:!0,query:{filter:e.filter,sort:e.sort,...e.expand?{expand:e.expand}:{},perPage:`30`}}),view:e=>W(e,{path:`${G(e)}/RECORD_ID`,signedIn:!0,query:e.expand?{expand:e.expand}:void 0}),create:e=>W(e,{method:`POST`,path:G(e),signedIn:!0,body:e.create,forms:e.files.length?[`@jsonPayload=${JSON.stringify(e.create)}`,...e.files.map(({name:e})=>`${e}=@/path/to/file`)]:[]}),update:e=>W(e,{method:`PATCH`,path:`${G(e)}/RECORD_ID`,signedIn:!0,body:e.update}),delete:e=>W(e,{method:`DELETE`,path:`${G(e)}/RECORD_ID`,signedIn:!0}),realtime:e=>`# The stream; its first event holds the clientId.
curl -N ${U(`${e.base}/api/realtime`)}

# What it is to tell of, in another shell.
${W(e,{method:`POST`,path:`/api/realtime`,signedIn:!0,body:{clientId:`CLIENT_ID`,subscriptions:[`${e.collection.name}/*`]}})}`,batch:e=>W(e,{method:`POST`,path:`/api/batch`,signedIn:!0,body:{requests:[{method:`POST`,url:G(e),body:e.create},{method:`PATCH`,url:`${G(e)}/RECORD_ID`,body:e.update},{method:`DELETE`,url:`${G(e)}/OTHER_ID`}]}}),files:e=>`${W(e,{path:`/api/files/${encodeURIComponent(e.collection.name)}/RECORD_ID/FILENAME`})} -O

# Of a protected file: a token that lives for a few minutes.
${W(e,{method:`POST`,path:`/api/files/token`,signedIn:!0})}
curl -O ${U(`${e.base}/api/files/${encodeURIComponent(e.collection.name)}/RECORD_ID/FILENAME?token=FILE_TOKEN`)}`,methods:e=>W(e,{path:K(e,`auth-methods`)}),password:e=>q(e,`auth-with-password`,{identity:e.identity.value,password:`a-long-password`}),oauth2:e=>`# After the provider has sent the browser back with a code.
${q(e,`auth-with-oauth2`,{provider:e.provider,code:`CODE`,codeVerifier:`VERIFIER`,redirectURL:`${e.base}/api/oauth2-redirect`})}`,otp:e=>`${q(e,`request-otp`,{email:`ada@example.com`})}

# With the code from the mail.
${q(e,`auth-with-otp`,{otpId:`OTP_ID`,password:`123456`})}`,refresh:e=>W(e,{method:`POST`,path:K(e,`auth-refresh`),signedIn:!0}),verification:e=>`${q(e,`request-verification`,{email:`ada@example.com`})}

# With the token from the mail.
${q(e,`confirm-verification`,{token:`TOKEN`})}`,passwordReset:e=>`${q(e,`request-password-reset`,{email:`ada@example.com`})}

# With the token from the mail.
${q(e,`confirm-password-reset`,{token:`TOKEN`,password:`a-new-password`,passwordConfirm:`a-new-password`})}`,emailChange:e=>`# By whoever is signed in.
${q(e,`request-email-change`,{newEmail:`new@example.com`},!0)}

# With the token from the mail.
${q(e,`confirm-email-change`,{token:`TOKEN`,password:`a-long-password`})}`},Y=e=>JSON.stringify(e).replaceAll(`$`,`\\$`);function X(e,t=``){if(typeof e==`string`)return Y(e);if(Array.isArray(e))return`[${e.map(e=>X(e,t)).join(`, `)}]`;if(typeof e!=`object`||!e)return JSON.stringify(e)??`null`;let n=`${t}  `,r=Object.entries(e).map(([e,t])=>`${n}${Y(e)}: ${X(t,n)},`);return r.length?`{\n${r.join(`
`)}\n${t}}`:`{}`}function se(e,t){return`${e===`create`&&t.files.length?`import 'package:http/http.dart' as http;
`:``}import 'package:pocketbase/pocketbase.dart';\n${e===`oauth2`?`import 'package:url_launcher/url_launcher.dart';
`:``}
final pb = PocketBase(${Y(t.base)});\n\n${le[e](t)}`}var Z=({collection:e})=>`pb.collection(${Y(e.name)})`,ce=e=>e.expand?`\n  expand: ${Y(e.expand)},`:``,le={list:e=>`// A page, 30 records each.
final page = await ${Z(e)}.getList(
  page: 1,
  perPage: 30,
  filter: pb.filter(${Y(e.filter.replace(/= .*$/,`= {:value}`))}, {"value": ${e.filter.replace(/^.*?= /,``).replaceAll(`$`,`\\$`)}}),
  sort: ${Y(e.sort)},${ce(e)}
);

// All of them.
final records = await ${Z(e)}.getFullList(sort: ${Y(e.sort)});

// The first that fits.
final first = await ${Z(e)}.getFirstListItem(${Y(e.filter)});`,view:e=>`final record = await ${Z(e)}.getOne("RECORD_ID"${e.expand?`, expand: ${Y(e.expand)}`:``});`,create:e=>{let t=e.files.map(({name:e})=>`\n    await http.MultipartFile.fromPath(${Y(e)}, "/path/to/file"),`).join(``);return`final record = await ${Z(e)}.create(
  body: ${X(e.create,`  `)},${t?`\n  files: [${t}\n  ],`:``}
);`},update:e=>`final record = await ${Z(e)}.update("RECORD_ID", body: ${X(e.update)});`,delete:e=>`await ${Z(e)}.delete("RECORD_ID");`,realtime:e=>`// All records; "RECORD_ID" instead of "*" for one.
final stop = await ${Z(e)}.subscribe("*", (event) {
  print("\${event.action} \${event.record}");
});

await stop();`,batch:e=>`final batch = pb.createBatch();

batch.collection(${Y(e.collection.name)}).create(body: ${X(e.create)});
batch.collection(${Y(e.collection.name)}).update("RECORD_ID", body: ${X(e.update)});
batch.collection(${Y(e.collection.name)}).delete("OTHER_ID");

// All of it, or none.
final results = await batch.send();`,files:e=>{let t=e.files[0]??{name:`file`,several:!1},n=t.several?`record.get<List<String>>(${Y(t.name)}).first`:`record.get<String>(${Y(t.name)})`;return`final record = await ${Z(e)}.getOne("RECORD_ID");
final url = pb.files.getURL(record, ${n}, thumb: "100x250");

// Of a protected file: a token that lives for a few minutes.
final token = await pb.files.getToken();
final secret = pb.files.getURL(record, ${n}, token: token);`},methods:e=>`final methods = await ${Z(e)}.listAuthMethods();`,password:e=>`final auth = await ${Z(e)}.authWithPassword(${Y(e.identity.value)}, "a-long-password");

// Signed in from now on.
print("\${pb.authStore.isValid} \${auth.record.id}");

pb.authStore.clear();`,oauth2:e=>`final auth = await ${Z(e)}.authWithOAuth2(${Y(e.provider)}, (url) async {
  await launchUrl(url);
});`,otp:e=>`final request = await ${Z(e)}.requestOTP("ada@example.com");

// With the code from the mail.
final auth = await ${Z(e)}.authWithOTP(request.otpId, "123456");`,refresh:e=>`// A fresh token for whoever is signed in.
final auth = await ${Z(e)}.authRefresh();`,verification:e=>`await ${Z(e)}.requestVerification("ada@example.com");

// With the token from the mail.
await ${Z(e)}.confirmVerification("TOKEN");`,passwordReset:e=>`await ${Z(e)}.requestPasswordReset("ada@example.com");

// With the token from the mail.
await ${Z(e)}.confirmPasswordReset("TOKEN", "a-new-password", "a-new-password");`,emailChange:e=>`// By whoever is signed in.
await ${Z(e)}.requestEmailChange("new@example.com");

// With the token from the mail.
await ${Z(e)}.confirmEmailChange("TOKEN", "a-long-password");`};function Q(e,t=``){if(Array.isArray(e))return`[${e.map(e=>Q(e,t)).join(`, `)}]`;if(typeof e!=`object`||!e)return JSON.stringify(e)??`undefined`;let n=`${t}    `,r=Object.entries(e).map(([e,t])=>`${n}${/^[A-Za-z_$][\w$]*$/.test(e)?e:JSON.stringify(e)}: ${Q(t,n)},`);return r.length?`{\n${r.join(`
`)}\n${t}}`:`{}`}function ue(e,t){return`${de(t)}\n${me[e](t)}`}var de=({base:e})=>`import PocketBase from "pocketbase";\n\nconst pb = new PocketBase(${JSON.stringify(e)});\n`,$=({collection:e})=>`pb.collection(${JSON.stringify(e.name)})`,fe=e=>e.expand?`\n    expand: ${JSON.stringify(e.expand)},`:``;function pe(e){let t=e.files.map(({name:e,several:t})=>[e,t?`[...fileInput.files]`:`fileInput.files[0]`]),n=Q(e.create);if(!t.length)return n;let r=t.map(([e,t])=>`    ${/^[A-Za-z_$][\w$]*$/.test(e)?e:JSON.stringify(e)}: ${t},`).join(`
`);return n===`{}`?`{\n${r}\n}`:n.replace(/\n}$/,`\n${r}\n}`)}var me={list:e=>`// A page, 30 records each.
const page = await ${$(e)}.getList(1, 30, {
    filter: pb.filter(${JSON.stringify(e.filter.replace(/= .*$/,`= {:value}`))}, { value: ${e.filter.replace(/^.*?= /,``)} }),
    sort: ${JSON.stringify(e.sort)},${fe(e)}
});

// All of them.
const records = await ${$(e)}.getFullList({ sort: ${JSON.stringify(e.sort)} });

// The first that fits.
const first = await ${$(e)}.getFirstListItem(${JSON.stringify(e.filter)});`,view:e=>`const record = await ${$(e)}.getOne("RECORD_ID"${e.expand?`, { expand: ${JSON.stringify(e.expand)} }`:``});`,create:e=>`const record = await ${$(e)}.create(${pe(e)});`,update:e=>`const record = await ${$(e)}.update("RECORD_ID", ${Q(e.update)});`,delete:e=>`await ${$(e)}.delete("RECORD_ID");`,realtime:e=>`// All records; "RECORD_ID" instead of "*" for one.
await ${$(e)}.subscribe("*", ({ action, record }) => {
    console.log(action, record);
});

await ${$(e)}.unsubscribe("*");`,batch:e=>`const batch = pb.createBatch();

batch.collection(${JSON.stringify(e.collection.name)}).create(${Q(e.create)});
batch.collection(${JSON.stringify(e.collection.name)}).update("RECORD_ID", ${Q(e.update)});
batch.collection(${JSON.stringify(e.collection.name)}).delete("OTHER_ID");

// All of it, or none.
const results = await batch.send();`,files:e=>{let t=e.files[0]??{name:`file`,several:!1},n=`record[${JSON.stringify(t.name)}]${t.several?`[0]`:``}`;return`const record = await ${$(e)}.getOne("RECORD_ID");
const url = pb.files.getURL(record, ${n}, { thumb: "100x250" });

// Of a protected file: a token that lives for a few minutes.
const token = await pb.files.getToken();
const secret = pb.files.getURL(record, ${n}, { token });`},methods:e=>`const methods = await ${$(e)}.listAuthMethods();`,password:e=>`const { token, record } = await ${$(e)}.authWithPassword(${JSON.stringify(e.identity.value)}, "a-long-password");

// Signed in from now on.
console.log(pb.authStore.isValid, pb.authStore.record.id);

pb.authStore.clear();`,oauth2:e=>`// Opens a window of the provider; call it in a click.
const { token, record } = await ${$(e)}.authWithOAuth2({ provider: ${JSON.stringify(e.provider)} });`,otp:e=>`const { otpId } = await ${$(e)}.requestOTP("ada@example.com");

// With the code from the mail.
const { token, record } = await ${$(e)}.authWithOTP(otpId, "123456");`,refresh:e=>`// A fresh token for whoever is signed in.
const { token, record } = await ${$(e)}.authRefresh();`,verification:e=>`await ${$(e)}.requestVerification("ada@example.com");

// With the token from the mail.
await ${$(e)}.confirmVerification("TOKEN");`,passwordReset:e=>`await ${$(e)}.requestPasswordReset("ada@example.com");

// With the token from the mail.
await ${$(e)}.confirmPasswordReset("TOKEN", "a-new-password", "a-new-password");`,emailChange:e=>`// By whoever is signed in.
await ${$(e)}.requestEmailChange("new@example.com");

// With the token from the mail.
await ${$(e)}.confirmEmailChange("TOKEN", "a-long-password");`},he=h(`<li><a class="svelte-1l796ha"> </a></li>`),ge=h(`<div class="request svelte-1l796ha"><!><code dir="ltr" class="svelte-1l796ha"> </code></div>`),_e=h(`<p class="svelte-1l796ha"> </p>`),ve=h(`<code class="text svelte-1l796ha" dir="ltr"> </code>`),ye=h(`<div class="card rule svelte-1l796ha"><div class="row apart"><h3 class="svelte-1l796ha"> </h3><!></div> <!></div>`),be=h(`<button type="button" role="tab" aria-controls="code" class="svelte-1l796ha"> </button>`),xe=h(`<div class="svelte-1l796ha"><dt><code> </code></dt><dd class="svelte-1l796ha"> </dd></div>`),Se=h(`<h3 class="svelte-1l796ha"> </h3> <dl class="svelte-1l796ha"></dl>`,1),Ce=h(`<p class="soft svelte-1l796ha"> </p>`),we=h(`<article class="stack" aria-labelledby="action"><h2 id="action" class="svelte-1l796ha"> </h2> <p class="svelte-1l796ha"> </p> <div class="stack requests svelte-1l796ha"></div> <!> <div class="languages svelte-1l796ha" role="tablist"></div> <div id="code" role="tabpanel"><!></div> <!> <h3 class="svelte-1l796ha"> <!></h3> <!></article>`),Te=h(`<div class="columns svelte-1l796ha"><nav class="svelte-1l796ha"><ul class="plain svelte-1l796ha"></ul></nav> <!></div>`);function Ee(h,C){r(C,!0);let I={javascript:`JavaScript`,dart:`Dart`,curl:`curl`},L={javascript:ue,dart:se,curl:oe},R=i(()=>k.path[1]??``),z=i(()=>j.find(y(R))),B=i(()=>y(z)?ie(y(z),j.all):[]),V=i(()=>y(B).find(({id:e})=>e===k.query.get(`action`))??y(B)[0]),H=localStorage.getItem(`conch.api.language`),U=u(e(H===`dart`||H===`curl`?H:`javascript`)),W=i(()=>y(z)&&y(V)?L[y(U)](y(V).id,re(y(z),j.all,O)):``),G=i(()=>y(z)&&y(V)?ae(y(z),y(V)):void 0);function K({id:e}){A(M(`collections`,y(R),`api`,{action:e}))}function q(e){s(U,e,!0),localStorage.setItem(`conch.api.language`,e)}var J=b(),Y=t(J),X=e=>{{let r=e=>{F(e,{get name(){return y(R)},current:`api`})},s=i(()=>v(`rules.api.lead`));P(e,{get title(){return y(z).name},get lead(){return y(s)},tabs:r,children:(e,r)=>{var s=Te(),u=n(s),f=n(u);a(f,21,()=>y(B),e=>e.id,(e,t)=>{var r=he(),i=n(r),a=l(i,!0);p(r),D((e,n)=>{c(i,`href`,e),c(i,`aria-current`,y(t).id===y(V)?.id?`true`:void 0),_(a,n)},[()=>M(`collections`,y(R),`api`,{action:y(t).id}),()=>v(`rules.api.${y(t).id}`)]),E(`click`,i,e=>{e.preventDefault(),K(y(t))}),w(e,r)}),p(f),p(u);var h=x(u,2),b=e=>{var r=we(),s=n(r),u=l(s,!0),f=x(s,2),h=l(f,!0),b=x(f,2);a(b,21,()=>y(V).requests,ee,(e,t)=>{let r=()=>y(t).method,a=()=>y(t).path;var s=ge(),c=n(s);{let e=i(()=>r()===`GET`?`good`:r()===`DELETE`?`error`:`accent`);N(c,{get kind(){return y(e)},children:(e,t)=>{o();var n=g();D(()=>_(n,r())),w(e,n)},$$slots:{default:!0}})}var u=x(c),d=l(u,!0);p(s),D(()=>{_(d,a()),u.dir=u.dir}),w(e,s)}),p(b);var C=x(b,2),T=e=>{var t=ye(),r=n(t),a=n(r),s=l(a,!0),c=x(a);{let e=i(()=>M(`collections`,y(R),`rules`));S(c,{size:`small`,get href(){return y(e)},children:(e,t)=>{o();var n=g();D(e=>_(n,e),[()=>v(`rules.api.change`)]),w(e,n)},$$slots:{default:!0}})}p(r);var u=x(r,2),d=e=>{var t=_e(),n=l(t,!0);D(e=>_(n,e),[()=>v(y(V).rule===`authRule`?`rules.mode.nobody`:`rules.mode.locked`)]),w(e,t)},f=e=>{var t=_e(),n=l(t,!0);D(e=>_(n,e),[()=>v(`rules.mode.public`)]),w(e,t)},ee=e=>{var t=ve(),n=l(t,!0);D(e=>{_(n,e),t.dir=t.dir},[()=>y(G)?.slice(0,2e3)]),w(e,t)};m(u,e=>{y(G)===null?e(d):y(G)===``?e(f,1):e(ee,-1)}),p(t),D(e=>_(s,e),[()=>v(`rules.api.who`)]),w(e,t)};m(C,e=>{y(V).rule&&e(T)});var O=x(C,2);a(O,21,()=>Object.entries(I),([e,t])=>e,(e,t)=>{var n=i(()=>d(y(t),2));let r=()=>y(n)[0],a=()=>y(n)[1];var o=be(),s=l(o,!0);D(()=>{c(o,`id`,`tab-${r()??``}`),c(o,`aria-selected`,r()===y(U)),c(o,`tabindex`,r()===y(U)?0:-1),_(s,a())}),E(`click`,o,()=>q(r())),E(`keydown`,o,e=>{let t=Object.keys(I),n=e.key===`ArrowRight`?1:e.key===`ArrowLeft`?-1:0,r=t[(t.indexOf(y(U))+n+t.length)%t.length];n&&r&&(e.preventDefault(),q(r),document.getElementById(`tab-${r}`)?.focus())}),w(e,o)}),p(O);var k=x(O,2),A=n(k);te(A,{get text(){return y(W)},get label(){return I[y(U)]}}),p(k);var j=x(k,2),ne=e=>{var r=Se(),i=t(r),o=l(i,!0),s=x(i,2);a(s,20,()=>y(V).params,e=>e,(e,t)=>{var r=xe(),i=n(r),a=n(i),o=l(a,!0);p(i);var s=x(i),c=l(s,!0);p(r),D(e=>{_(o,t),_(c,e)},[()=>v(`rules.api.param.${t}`)]),w(e,r)}),p(s),D(e=>_(o,e),[()=>v(`rules.api.params`)]),w(e,r)};m(j,e=>{y(V).params.length&&e(ne)});var P=x(j,2),F=n(P,!0),L=x(F),z=e=>{N(e,{kind:`good`,children:(e,t)=>{o();var n=g();D(()=>_(n,y(V).answer.status)),w(e,n)},$$slots:{default:!0}})};m(L,e=>{y(V).id!==`realtime`&&e(z)}),p(P);var B=x(P,2),re=e=>{{let t=i(()=>JSON.stringify(y(V).answer.body,null,2)),n=i(()=>v(`rules.api.answer`));te(e,{get text(){return y(t)},get label(){return y(n)}})}},ie=e=>{var t=Ce(),n=l(t,!0);D(e=>_(n,e),[()=>v(y(V).id===`files`?`rules.api.file`:`rules.api.nothing`)]),w(e,t)};m(B,e=>{y(V).answer.body===null?e(ie,-1):e(re)}),p(r),D((e,t,n,r)=>{_(u,e),_(h,t),c(O,`aria-label`,n),c(k,`aria-labelledby`,`tab-${y(U)??``}`),_(F,r)},[()=>v(`rules.api.${y(V).id}`),()=>v(`rules.api.${y(V).id}.text`),()=>v(`rules.api.language`),()=>v(y(V).id===`realtime`?`rules.api.event`:`rules.api.answer`)]),w(e,r)};m(h,e=>{y(V)&&e(b)}),p(s),D(e=>c(u,`aria-label`,e),[()=>v(`rules.api.actions`)]),w(e,s)},$$slots:{tabs:!0,default:!0}})}},Z=e=>{P(e,{get title(){return y(R)},children:(e,t)=>{{let t=e=>{{let t=i(()=>M(`collections`));S(e,{get href(){return y(t)},children:(e,t)=>{o();var n=g();D(e=>_(n,e),[()=>v(`nav.collections`)]),w(e,n)},$$slots:{default:!0}})}},n=i(()=>v(`rules.missing`,{name:y(R).slice(0,80)}));ne(e,{get title(){return y(n)},actions:t,$$slots:{actions:!0}})}},$$slots:{default:!0}})},ce=e=>{P(e,{get title(){return y(R)},children:(e,t)=>{T(e,{size:24})},$$slots:{default:!0}})};m(Y,e=>{y(z)?e(X):j.loaded?e(Z,1):e(ce,-1)}),w(h,J),f()}C([`click`,`keydown`]);export{Ee as default};