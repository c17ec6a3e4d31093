import{$t as e,At as t,Dt as n,Ft as r,Ht as i,Lt as a,Nt as o,Ot as s,P as c,Q as l,St as u,Ut as d,X as ee,Xt as f,Y as p,Yt as m,at as h,dt as g,g as _,gt as v,it as y,jt as b,kt as x,l as te,lt as S,ot as C,tt as w,u as T,ut as E}from"./theme.svelte-Cd4CYbTS.js";import{r as D}from"./api-DY2hw8YR.js";import{E as O,T as ne,a as k,m as re,n as A,w as j}from"./main-3vK5TF7X.js";import{t as M}from"./Badge-BIEe3D2P.js";import{t as N}from"./Page-xdX9tri4.js";import{t as P}from"./Tabs-BGxcbIdz.js";import{c as F,i as I,l as L,o as R,s as z}from"./kinds-C5bwCLh6.js";function ie(e,t,n){let r=z(e,t),i=Object.entries(r).find(([e,t])=>!/^(email|password|passwordConfirm)$/.test(e)&&[`string`,`number`,`boolean`].includes(typeof t)),a=e.fields.filter(({hidden:e,type:t})=>!e&&t!==`password`),o=a.find(({name:e,type:t})=>e!==`id`&&[`select`,`text`,`bool`,`number`,`email`].includes(t))??a.find(({name:e})=>e===`id`),s=a.find(({type:e})=>e===`autodate`)??a.find(({type:e})=>e===`date`),c=e.type===`auth`?e:void 0,l=c?.passwordAuth?.identityFields?.[0]??`email`;return{base:n,collection:e,create:r,update:i?{[i[0]]:i[1]}:{},files:L(e).filter(({type:e})=>e===`file`).slice(0,2).map(({name:e,maxSelect:t})=>({name:e,several:Number(t)>1})),filter:o?`${o.name} = ${B(F(o,t))}`:`id != ''`,sort:s?`-${s.name}`:`-@rowid`,expand:a.find(({type:e})=>e===`relation`)?.name,identity:{field:l,value:l===`email`?`ada@example.com`:`ada`},provider:c?.oauth2?.providers?.[0]?.name??`google`}}function B(e){let t=Array.isArray(e)?e[0]:e;return typeof t==`string`?`"${t.replace(/["\\]/g,`\\$&`)}"`:String(t)}function V(e,t){let n=`/api/collections/${encodeURIComponent(e.name)}/records`,r={status:200,body:R(e,t)},i=e.fields.some(({type:e})=>e===`file`),a=[{id:`list`,requests:[{method:`GET`,path:n}],rule:`listRule`,params:[`page`,`perPage`,`sort`,`filter`,`expand`,`fields`,`skipTotal`],answer:{status:200,body:{page:1,perPage:30,totalItems:1,totalPages:1,items:[r.body]}}},{id:`view`,requests:[{method:`GET`,path:`${n}/RECORD_ID`}],rule:`viewRule`,params:[`expand`,`fields`],answer:r}];return e.type!==`view`&&a.push({id:`create`,requests:[{method:`POST`,path:n}],rule:`createRule`,params:[`expand`,`fields`],answer:r},{id:`update`,requests:[{method:`PATCH`,path:`${n}/RECORD_ID`}],rule:`updateRule`,params:[`expand`,`fields`],answer:r},{id:`delete`,requests:[{method:`DELETE`,path:`${n}/RECORD_ID`}],rule:`deleteRule`,params:[],answer:{status:204,body:null}}),e.type===`auth`&&a.push(...H(e,t)),e.type!==`view`&&(a.push({id:`realtime`,requests:[{method:`GET`,path:`/api/realtime`},{method:`POST`,path:`/api/realtime`}],params:[],answer:{status:200,body:{action:`update`,record:r.body}}}),a.push({id:`batch`,requests:[{method:`POST`,path:`/api/batch`}],params:[],answer:{status:200,body:[{status:200,body:r.body}]}})),i&&a.push({id:`files`,requests:[{method:`GET`,path:`/api/files/${encodeURIComponent(e.name)}/RECORD_ID/FILENAME`}],rule:`viewRule`,params:[`thumb`,`token`,`download`],answer:{status:200,body:null}}),a}function H(e,t){if(e.type!==`auth`)return[];let n=`/api/collections/${encodeURIComponent(e.name)}`,r={status:200,body:{token:`eyJhbGciOiJIUzI1NiJ9…`,record:R(e,t)}},i={status:204,body:null},a=(...e)=>e.map(e=>({method:`POST`,path:`${n}/${e}`})),{passwordAuth:o,oauth2:s,otp:c,mfa:l}=e,u=[{id:`methods`,requests:[{method:`GET`,path:`${n}/auth-methods`}],params:[`fields`],answer:{status:200,body:{password:{enabled:!!o?.enabled,identityFields:o?.identityFields??[]},oauth2:{enabled:!!s?.enabled,providers:(s?.providers??[]).map(({name:e})=>({name:e}))},mfa:{enabled:!!l?.enabled,duration:l?.duration??0},otp:{enabled:!!c?.enabled,duration:c?.duration??0}}}}],d=[[!!o?.enabled,`password`,[`auth-with-password`]],[!!s?.enabled,`oauth2`,[`auth-with-oauth2`]],[!!c?.enabled,`otp`,[`request-otp`,`auth-with-otp`]]];for(let[e,t,n]of d)e&&u.push({id:t,requests:a(...n),rule:`authRule`,params:[`expand`,`fields`],answer:r});return u.push({id:`refresh`,requests:a(`auth-refresh`),params:[`expand`,`fields`],answer:r}),u.push({id:`verification`,requests:a(`request-verification`,`confirm-verification`),params:[],answer:i}),o?.enabled&&u.push({id:`passwordReset`,requests:a(`request-password-reset`,`confirm-password-reset`),params:[],answer:i}),u.push({id:`emailChange`,requests:a(`request-email-change`,`confirm-email-change`),params:[],answer:i}),u}var ae=(e,{rule:t})=>t?I(e,t):void 0,U=e=>`'${e.replaceAll(`'`,`'\\''`)}'`;function W({base:e},{method:t=`GET`,path:n,body:r,query:i,forms:a=[],signedIn:o=!1}){let s=[`curl${t===`GET`?i?` --get`:``:` -X ${t}`} ${U(`${e}${n}`)}`];if(o&&s.push(`-H "Authorization: $TOKEN"`),a.length)for(let e of a)s.push(`${/^\w+=@\/path/.test(e)?`--form`:`--form-string`} ${U(e)}`);for(let[e,t]of Object.entries(i??{}))s.push(`--data-urlencode ${U(`${e}=${t}`)}`);return r!==void 0&&!a.length&&s.push(`-H 'Content-Type: application/json'`,`-d ${U(JSON.stringify(r,null,2))}`),s.join(` \\
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
await ${$(e)}.confirmEmailChange("TOKEN", "a-long-password");`},he=C(`<li><a class="svelte-1l796ha"> </a></li>`),ge=C(`<div class="request svelte-1l796ha"><!><code dir="ltr" class="svelte-1l796ha"> </code></div>`),_e=C(`<p class="svelte-1l796ha"> </p>`),ve=C(`<code class="text svelte-1l796ha" dir="ltr"> </code>`),ye=C(`<div class="card rule svelte-1l796ha"><div class="row apart"><h3 class="svelte-1l796ha"> </h3><!></div> <!></div>`),be=C(`<button type="button" role="tab" aria-controls="code" class="svelte-1l796ha"> </button>`),xe=C(`<div class="svelte-1l796ha"><dt><code> </code></dt><dd class="svelte-1l796ha"> </dd></div>`),Se=C(`<h3 class="svelte-1l796ha"> </h3> <dl class="svelte-1l796ha"></dl>`,1),Ce=C(`<p class="soft svelte-1l796ha"> </p>`),we=C(`<article class="stack" aria-labelledby="action"><h2 id="action" class="svelte-1l796ha"> </h2> <p class="svelte-1l796ha"> </p> <div class="stack requests svelte-1l796ha"></div> <!> <div class="languages svelte-1l796ha" role="tablist"></div> <div id="code" role="tabpanel"><!></div> <!> <h3 class="svelte-1l796ha"> <!></h3> <!></article>`),Te=C(`<div class="columns svelte-1l796ha"><nav class="svelte-1l796ha"><ul class="plain svelte-1l796ha"></ul></nav> <!></div>`);function Ee(C,E){d(E,!0);let F={javascript:`JavaScript`,dart:`Dart`,curl:`curl`},I={javascript:ue,dart:se,curl:oe},L=a(()=>O.path[1]??``),R=a(()=>k.find(v(L))),z=a(()=>v(R)?V(v(R),k.all):[]),B=a(()=>v(z).find(({id:e})=>e===O.query.get(`action`))??v(z)[0]),H=localStorage.getItem(`conch.api.language`),U=r(b(H===`dart`||H===`curl`?H:`javascript`)),W=a(()=>v(R)&&v(B)?I[v(U)](v(B).id,ie(v(R),k.all,D)):``),G=a(()=>v(R)&&v(B)?ae(v(R),v(B)):void 0);function K({id:e}){ne(j(`collections`,v(L),`api`,{action:e}))}function q(e){o(U,e,!0),localStorage.setItem(`conch.api.language`,e)}var J=h(),Y=s(J),X=r=>{{let i=e=>{P(e,{get name(){return v(L)},current:`api`})},o=a(()=>_(`rules.api.lead`));N(r,{get title(){return v(R).name},get lead(){return v(o)},tabs:i,children:(r,i)=>{var o=Te(),d=n(o),h=n(d);p(h,21,()=>v(z),e=>e.id,(e,t)=>{var r=he(),i=n(r),a=x(i,!0);f(r),u((e,n)=>{c(i,`href`,e),c(i,`aria-current`,v(t).id===v(B)?.id?`true`:void 0),w(a,n)},[()=>j(`collections`,v(L),`api`,{action:v(t).id}),()=>_(`rules.api.${v(t).id}`)]),g(`click`,i,e=>{e.preventDefault(),K(v(t))}),y(e,r)}),f(h),f(d);var b=t(d,2),C=r=>{var i=we(),o=n(i),d=x(o,!0),h=t(o,2),b=x(h,!0),C=t(h,2);p(C,21,()=>v(B).requests,ee,(e,r)=>{let i=()=>v(r).method,o=()=>v(r).path;var s=ge(),c=n(s);{let e=a(()=>i()===`GET`?`good`:i()===`DELETE`?`error`:`accent`);M(c,{get kind(){return v(e)},children:(e,t)=>{m();var n=S();u(()=>w(n,i())),y(e,n)},$$slots:{default:!0}})}var l=t(c),d=x(l,!0);f(s),u(()=>{w(d,o()),l.dir=l.dir}),y(e,s)}),f(C);var T=t(C,2),E=e=>{var r=ye(),i=n(r),o=n(i),s=x(o,!0),c=t(o);{let e=a(()=>j(`collections`,v(L),`rules`));te(c,{size:`small`,get href(){return v(e)},children:(e,t)=>{m();var n=S();u(e=>w(n,e),[()=>_(`rules.api.change`)]),y(e,n)},$$slots:{default:!0}})}f(i);var d=t(i,2),ee=e=>{var t=_e(),n=x(t,!0);u(e=>w(n,e),[()=>_(v(B).rule===`authRule`?`rules.mode.nobody`:`rules.mode.locked`)]),y(e,t)},p=e=>{var t=_e(),n=x(t,!0);u(e=>w(n,e),[()=>_(`rules.mode.public`)]),y(e,t)},h=e=>{var t=ve(),n=x(t,!0);u(e=>{w(n,e),t.dir=t.dir},[()=>v(G)?.slice(0,2e3)]),y(e,t)};l(d,e=>{v(G)===null?e(ee):v(G)===``?e(p,1):e(h,-1)}),f(r),u(e=>w(s,e),[()=>_(`rules.api.who`)]),y(e,r)};l(T,e=>{v(B).rule&&e(E)});var D=t(T,2);p(D,21,()=>Object.entries(F),([e,t])=>e,(t,n)=>{var r=a(()=>e(v(n),2));let i=()=>v(r)[0],o=()=>v(r)[1];var s=be(),l=x(s,!0);u(()=>{c(s,`id`,`tab-${i()??``}`),c(s,`aria-selected`,i()===v(U)),c(s,`tabindex`,i()===v(U)?0:-1),w(l,o())}),g(`click`,s,()=>q(i())),g(`keydown`,s,e=>{let t=Object.keys(F),n=e.key===`ArrowRight`?1:e.key===`ArrowLeft`?-1:0,r=t[(t.indexOf(v(U))+n+t.length)%t.length];n&&r&&(e.preventDefault(),q(r),document.getElementById(`tab-${r}`)?.focus())}),y(t,s)}),f(D);var O=t(D,2),ne=n(O);re(ne,{get text(){return v(W)},get label(){return F[v(U)]}}),f(O);var k=t(O,2),A=e=>{var r=Se(),i=s(r),a=x(i,!0),o=t(i,2);p(o,20,()=>v(B).params,e=>e,(e,r)=>{var i=xe(),a=n(i),o=n(a),s=x(o,!0);f(a);var c=t(a),l=x(c,!0);f(i),u(e=>{w(s,r),w(l,e)},[()=>_(`rules.api.param.${r}`)]),y(e,i)}),f(o),u(e=>w(a,e),[()=>_(`rules.api.params`)]),y(e,r)};l(k,e=>{v(B).params.length&&e(A)});var N=t(k,2),P=n(N,!0),I=t(P),R=e=>{M(e,{kind:`good`,children:(e,t)=>{m();var n=S();u(()=>w(n,v(B).answer.status)),y(e,n)},$$slots:{default:!0}})};l(I,e=>{v(B).id!==`realtime`&&e(R)}),f(N);var z=t(N,2),ie=e=>{{let t=a(()=>JSON.stringify(v(B).answer.body,null,2)),n=a(()=>_(`rules.api.answer`));re(e,{get text(){return v(t)},get label(){return v(n)}})}},V=e=>{var t=Ce(),n=x(t,!0);u(e=>w(n,e),[()=>_(v(B).id===`files`?`rules.api.file`:`rules.api.nothing`)]),y(e,t)};l(z,e=>{v(B).answer.body===null?e(V,-1):e(ie)}),f(i),u((e,t,n,r)=>{w(d,e),w(b,t),c(D,`aria-label`,n),c(O,`aria-labelledby`,`tab-${v(U)??``}`),w(P,r)},[()=>_(`rules.api.${v(B).id}`),()=>_(`rules.api.${v(B).id}.text`),()=>_(`rules.api.language`),()=>_(v(B).id===`realtime`?`rules.api.event`:`rules.api.answer`)]),y(r,i)};l(b,e=>{v(B)&&e(C)}),f(o),u(e=>c(d,`aria-label`,e),[()=>_(`rules.api.actions`)]),y(r,o)},$$slots:{tabs:!0,default:!0}})}},Z=e=>{N(e,{get title(){return v(L)},children:(e,t)=>{{let t=e=>{{let t=a(()=>j(`collections`));te(e,{get href(){return v(t)},children:(e,t)=>{m();var n=S();u(e=>w(n,e),[()=>_(`nav.collections`)]),y(e,n)},$$slots:{default:!0}})}},n=a(()=>_(`rules.missing`,{name:v(L).slice(0,80)}));A(e,{get title(){return v(n)},actions:t,$$slots:{actions:!0}})}},$$slots:{default:!0}})},ce=e=>{N(e,{get title(){return v(L)},children:(e,t)=>{T(e,{size:24})},$$slots:{default:!0}})};l(Y,e=>{v(R)?e(X):k.loaded?e(Z,1):e(ce,-1)}),y(C,J),i()}E([`click`,`keydown`]);export{Ee as default};