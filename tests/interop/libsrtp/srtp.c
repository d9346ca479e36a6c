/* Protects and opens packets by libsrtp 2 (Debian: libsrtp2-dev), a line each from standard input:
 *
 *   sender SUITE HEX          key and salt of a new sender, numbered from 0 in order of appearance
 *   receiver SUITE HEX        the same of a receiver; both are numbered together
 *   rtp NUMBER HEX            protects or opens a packet, as the number is of one or the other
 *   rtcp NUMBER HEX
 *
 * Each of the latter two is answered by a line: the packet in hex, or "status N" by which libsrtp
 * refuses it.
 */
#include <srtp2/srtp.h>
#include <stdio.h>
#include <string.h>

#define SESSIONS_MAX 4096
#define PACKET_MAX 2048

static const struct {
    const char *name;
    size_t key_and_salt;
    void (*rtp)(srtp_crypto_policy_t *);
    void (*rtcp)(srtp_crypto_policy_t *);
} SUITES[] = {
    {"AES_CM_128_HMAC_SHA1_80", 30, srtp_crypto_policy_set_rtp_default,
     srtp_crypto_policy_set_rtp_default},
    {"AES_CM_128_HMAC_SHA1_32", 30, srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32,
     srtp_crypto_policy_set_rtp_default},
    {"AES_256_CM_HMAC_SHA1_80", 46, srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80,
     srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80},
    {"AES_256_CM_HMAC_SHA1_32", 46, srtp_crypto_policy_set_aes_cm_256_hmac_sha1_32,
     srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80},
    {"AEAD_AES_128_GCM", 28, srtp_crypto_policy_set_aes_gcm_128_16_auth,
     srtp_crypto_policy_set_aes_gcm_128_16_auth},
    {"AEAD_AES_256_GCM", 44, srtp_crypto_policy_set_aes_gcm_256_16_auth,
     srtp_crypto_policy_set_aes_gcm_256_16_auth},
};

static struct {
    srtp_t srtp;
    int sends;
} sessions[SESSIONS_MAX];
static unsigned count;

static int fail(const char *what, const char *line) {
    fprintf(stderr, "%s: %s\n", what, line);
    return 1;
}

static size_t octets(const char *hex, unsigned char *out, size_t max) {
    size_t len = 0;
    unsigned octet;
    while (len < max && sscanf(hex + 2 * len, "%2x", &octet) == 1) out[len++] = octet;
    return len;
}

/* Another session; false when that cannot be. */
static int add(int sends, const char *suite, const char *hex) {
    unsigned char key[64];
    size_t len = octets(hex, key, sizeof key);
    for (size_t i = 0; i < sizeof SUITES / sizeof *SUITES; i++) {
        if (strcmp(suite, SUITES[i].name) != 0) continue;
        srtp_policy_t policy;
        memset(&policy, 0, sizeof policy);
        SUITES[i].rtp(&policy.rtp);
        SUITES[i].rtcp(&policy.rtcp);
        policy.ssrc.type = sends ? ssrc_any_outbound : ssrc_any_inbound;
        policy.window_size = 128;
        policy.key = key;
        if (len != SUITES[i].key_and_salt || count == SESSIONS_MAX) return 0;
        sessions[count].sends = sends;
        return srtp_create(&sessions[count++].srtp, &policy) == srtp_err_status_ok;
    }
    return 0;
}

int main(void) {
    static char line[3 * PACKET_MAX], word[16], second[32], hex[2 * PACKET_MAX + 1];
    srtp_init();
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "%15s %31s %4096s", word, second, hex) != 3) return fail("what?", line);
        int is_rtcp = strcmp(word, "rtcp") == 0;
        if (!is_rtcp && strcmp(word, "rtp") != 0) {
            if (!add(strcmp(word, "sender") == 0, second, hex)) return fail("no session", line);
            continue;
        }
        unsigned number;
        if (sscanf(second, "%u", &number) != 1 || number >= count) return fail("whose?", line);
        /* The protected one is longer. */
        unsigned char packet[PACKET_MAX + SRTP_MAX_TRAILER_LEN + 4];
        int len = octets(hex, packet, PACKET_MAX);
        srtp_t srtp = sessions[number].srtp;
        srtp_err_status_t status;
        if (sessions[number].sends)
            status = is_rtcp ? srtp_protect_rtcp(srtp, packet, &len)
                             : srtp_protect(srtp, packet, &len);
        else
            status = is_rtcp ? srtp_unprotect_rtcp(srtp, packet, &len)
                             : srtp_unprotect(srtp, packet, &len);
        if (status != srtp_err_status_ok)
            printf("status %d", status);
        else
            for (int i = 0; i < len; i++) printf("%02x", packet[i]);
        printf("\n");
    }
    return 0;
}
